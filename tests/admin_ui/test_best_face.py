"""Enrolling at the door: it sends the best picture of who stands there, sealed, and that is what is enrolled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from admin_ui.link import ANSWER_TIMEOUT_S
from admin_ui.service import Office
from admin_ui.views import DoorOffline
from device.camera import Frame
from device.model import Active
from device.sight import Seen
from tests.admin_ui.real_door import RealDoor
from tests.waiting import until

pytestmark = pytest.mark.broker

PATIENCE_S = 10.0


@pytest.fixture
def office(connected: Office) -> Office:
    return connected


def test_the_door_sends_its_best_face_to_be_approved_and_enrolled(
    office: Office, running: RealDoor, photo: Callable[..., bytes]
) -> None:
    with pytest.raises(DoorOffline, match="Nobody stood before the camera"):
        office.best_face("front", "boss")
    running.camera.image = np.asarray(cv2.imdecode(np.frombuffer(photo(31), np.uint8), cv2.IMREAD_COLOR), np.uint8)
    running.box = (100.0, 80.0, 200.0, 260.0)
    assert until(lambda: office.link.ask("front", "face", "boss").ok)
    jpeg = office.best_face("front", "boss")
    assert office.people() == []  # it was shown, and nothing saved
    assert office.examine(jpeg).sentences == ("One face, good to enrol.",)
    change = office.enrol("Ana", jpeg, ["front"], "boss", consent=True)
    assert office.wait_applied("front", change.news[0].generation).in_step
    assert [(act.what, act.subject) for act in office.acts(2)][1] == ("look_through", "front, to enrol")


def test_a_door_that_says_nothing_is_told_of_after_three_seconds(
    office: Office, running: RealDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ANSWER_TIMEOUT_S == 3.0
    monkeypatch.setattr("admin_ui.link.ANSWER_TIMEOUT_S", ANSWER_TIMEOUT_S)  # not the patience of `running`
    assert running.daemon is not None
    monkeypatch.setattr(running.daemon._inbox, "handle", lambda _message: None)
    begun = time.monotonic()
    with pytest.raises(DoorOffline, match="front did not answer within 3 s"):
        office.link.ask("front", "face", "boss")
    assert ANSWER_TIMEOUT_S <= time.monotonic() - begun < 2 * ANSWER_TIMEOUT_S


def test_a_camera_that_gives_no_picture_is_said_so_and_not_that_nobody_is_there(
    office: Office, running: RealDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.glimpse.FRESH_S", -1.0)
    with pytest.raises(DoorOffline, match="camera gives no picture"):
        office.best_face("front", "boss")


def test_a_loop_that_was_held_up_is_not_taken_for_a_lost_camera(
    office: Office, running: RealDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.glimpse.FRESH_S", 0.5)
    running.box = (0.0, 0.0, 64.0, 64.0)
    running.camera.image = np.full((64, 64, 3), 128, np.uint8)
    assert until(lambda: office.link.ask("front", "face", "boss").ok)
    held, daemon = threading.Event(), running.daemon
    assert daemon is not None
    look = daemon._look

    def slowly(frame: Frame, active: Active) -> Seen:
        if not held.is_set():
            held.set()
            time.sleep(1.0)
        return look(frame, active)

    monkeypatch.setattr(daemon, "_look", slowly)
    assert held.wait(PATIENCE_S)
    assert office.link.ask("front", "face", "boss").ok
