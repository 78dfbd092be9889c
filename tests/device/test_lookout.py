"""What the office is told of the camera: each loss and each return, but no record with every picture."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from device.journal import Journal
from device.lookout import HOUR_S, LOSSES_AN_HOUR, Lookout
from firmware_config.keys import SecretKey
from tests.staging import StagedCamera

LOST = "camera_lost"
BACK = "camera_back"


class Notes:
    """A journal that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, _outcome: str, reason: str, *_: object) -> None:
        self.told.append(reason)


class Watch:
    """A lookout with a clock, a camera and what was told."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.camera = StagedCamera()
        self.notes = Notes()
        self._lookout = Lookout(folder, cast("Journal", self.notes), SecretKey.generate(), lambda: self.now)

    def look(self, trouble: str = "") -> None:
        self.camera.trouble = trouble
        self._lookout.camera(self.camera)
        self.now += 0.1

    def flap(self, times: int) -> None:
        for _ in range(times):
            for trouble in ("no picture", "no picture", "", ""):
                self.look(trouble)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def test_each_change_is_told_once(watch: Watch) -> None:
    for trouble in ("", "", "no picture", "no picture", "", ""):
        watch.look(trouble)
    assert watch.notes.told == [LOST, BACK]


def test_a_camera_that_was_never_there_is_told_and_its_first_picture_too(watch: Watch) -> None:
    watch.look("no such device")
    watch.look()
    assert watch.notes.told == [LOST, BACK]


def test_a_camera_that_is_lost_with_every_picture_does_not_fill_the_audit(watch: Watch) -> None:
    watch.flap(1000)
    assert watch.notes.told == [LOST, BACK] * LOSSES_AN_HOUR


def test_a_loss_that_lasts_is_told_in_the_end_however_often_it_was_lost_before(watch: Watch) -> None:
    watch.flap(LOSSES_AN_HOUR)
    watch.look("cut")
    assert len(watch.notes.told) == 2 * LOSSES_AN_HOUR
    watch.now += HOUR_S
    watch.look("cut")
    watch.look("cut")
    assert watch.notes.told[2 * LOSSES_AN_HOUR :] == [LOST]
    watch.look()
    assert watch.notes.told[-1] == BACK
