"""What tests of every package share: real faces and the real detector, fetched once and then offline."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from device.detect import Detector, detector_model
from firmware_config.att import att_faces
from firmware_config.errors import LostLink
from firmware_config.face import ImageArray


def unfetched(error: LostLink) -> NoReturn:
    """A file that is neither cached nor reachable: skipped for a user, a failure in CI, which has a network."""
    if os.environ.get("CI") == "true":
        raise error
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def att() -> dict[int, list[ImageArray]]:
    """AT&T faces, person -> ten photos uint8[112, 92]. Skips when they are neither cached nor reachable."""
    try:
        return att_faces()
    except LostLink as error:
        unfetched(error)


@pytest.fixture(scope="session")
def detector() -> Detector:
    """YuNet as the door runs it. Skips when it is neither cached nor reachable."""
    try:
        return Detector(detector_model())
    except LostLink as error:
        unfetched(error)
