"""What somebody at the page sees through the camera."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from device.camera import Frame
from device.decide import Observation
from device.glimpse import BEST_S, LONG_SIDE_PX, MOST_BYTES, Glimpse
from device.picture import Pixels
from device.sight import Seen
from firmware_config.face import ImageArray, Reason


def frame(height: int, width: int, age: float = 0.0) -> Frame:
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Frame(Pixels(image), time.monotonic() - age, 1)


@pytest.mark.parametrize(("height", "width"), [(120, 160), (480, 640), (2160, 3840), (1920, 1080)])
def test_the_newest_picture_fits_one_message_even_where_it_is_all_noise(height: int, width: int) -> None:
    glimpse = Glimpse()
    glimpse.see(frame(height, width))
    data = glimpse.jpeg()
    assert 0 < len(data) <= MOST_BYTES or max(height, width) >= LONG_SIDE_PX, "noise of that size fits in no message"
    if data:
        shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert shown is not None
        assert max(shown.shape[:2]) == min(LONG_SIDE_PX, max(height, width))


def test_a_real_picture_is_shown_whole() -> None:
    glimpse = Glimpse()
    ramp = np.tile(np.linspace(0, 255, 1280, dtype=np.uint8)[None, :, None], (720, 1, 3))
    glimpse.see(Frame(Pixels(ramp), time.monotonic(), 1))
    shown = cv2.imdecode(np.frombuffer(glimpse.jpeg(), np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (360, 640, 3)


def test_nothing_is_shown_of_a_moment_ago_or_of_no_camera() -> None:
    glimpse = Glimpse()
    assert glimpse.jpeg() == b""
    glimpse.see(frame(120, 160, age=3.0))
    assert glimpse.jpeg() == b""


# --- the best face of a moment ---

NOW = 1000.0
BOX = (200.0, 100.0, 120.0, 150.0)


def shade(level: int) -> ImageArray:
    return np.full((480, 640, 3), level, dtype=np.uint8)


class Watched:
    """A glimpse on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        self.glimpse = Glimpse()
        monkeypatch.setattr("device.glimpse.time.monotonic", lambda: self.now)

    def comes(self, at: float, level: int, reason: Reason | None = None, **quality: float) -> None:
        self.now = NOW + at
        frame = Frame(Pixels(shade(level)), self.now, 1)
        self.glimpse.see(frame)
        self.glimpse.saw(frame, Seen(Observation(self.now, 1, reason, None), {}, quality, BOX))

    @property
    def level(self) -> int:
        """Grey level of the picture that it would send; -1: none."""
        data = self.glimpse.face()
        if not data:
            return -1
        return round(float(np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)).mean()))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_the_best_face_is_the_one_that_passes_the_gate_and_ranks_highest(watched: Watched) -> None:
    watched.comes(0.0, 20, Reason.BLURRED, sharpness=0.9)
    assert watched.level == 20  # better than nothing: the page says what is wrong with it
    watched.comes(0.3, 60, score=0.5, sharpness=0.1)
    watched.comes(0.6, 100, score=0.9, sharpness=0.1)
    watched.comes(1.2, 140, score=0.7, sharpness=0.8)
    watched.comes(1.5, 180, Reason.TURNED_AWAY, sharpness=0.9)
    assert watched.level == 100


def test_of_equals_the_sharper_one_counts(watched: Watched) -> None:
    watched.comes(0.0, 60, sharpness=0.02)
    watched.comes(0.1, 100, sharpness=0.05)
    watched.comes(0.2, 140, sharpness=0.03)
    assert watched.level == 100


def test_a_face_of_before_is_forgotten_and_the_next_best_takes_its_place(watched: Watched) -> None:
    watched.comes(0.0, 60, score=0.9)
    watched.comes(2.0, 100, score=0.4)
    watched.now = NOW + BEST_S + 0.5
    assert watched.level == 100
    watched.now = NOW + 2 * BEST_S
    assert watched.level == -1


def test_a_face_that_left_is_not_kept_while_the_camera_goes_on(watched: Watched) -> None:
    watched.comes(0.0, 60, score=0.9)
    watched.glimpse.see(Frame(Pixels(shade(0)), NOW + BEST_S + 0.1, 2))
    watched.now = NOW + 1.0  # nothing is left, even for a clock that was set back
    assert watched.level == -1


def test_what_is_sent_is_the_face_with_its_surroundings_and_not_the_hall(watched: Watched) -> None:
    watched.comes(0.0, 60, score=0.9)
    shown = cv2.imdecode(np.frombuffer(watched.glimpse.face(), np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape[:2] == (330, 330)  # 2.2 breadths of the face's longer side


def test_a_face_outside_of_the_picture_is_none(watched: Watched) -> None:
    frame_ = Frame(Pixels(shade(60)), NOW, 1)
    watched.glimpse.saw(frame_, Seen(Observation(NOW, 1, None, None), {}, {}, (900.0, 900.0, 50.0, 50.0)))
    assert watched.level == -1
