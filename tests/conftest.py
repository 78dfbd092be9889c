"""What tests of every package share: real faces and the real detector, fetched once and then offline."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from device.detect import Detector
from device.detector_file import detector_model
from firmware_config.att import att_faces
from firmware_config.errors import LostLink
from firmware_config.face import ImageArray

LogState = dict[str, tuple[int, bool, bool]]


def _logs() -> LogState:
    """The root logger and the project's own -> level, propagate, disabled. One at its defaults is left out, so that
    a logger which is made on the way makes no difference."""
    known = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("latchkey")]
    found = {log.name: (log.level, log.propagate, log.disabled) for log in (logging.root, *known)}
    return {name: state for name, state in found.items() if state != (logging.NOTSET, True, False)}


@pytest.fixture(autouse=True)
def logs_are_left_as_they_were() -> Iterator[None]:
    """A test that quiets the log would blind those that read it later: by the random order, now and then, and there.
    So it fails itself, always."""
    before = _logs(), logging.root.manager.disable
    yield
    assert (_logs(), logging.root.manager.disable) == before, "this test left the log's levels changed"


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
