"""What somebody at the page sees through the camera."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from device.camera import Frame
from device.glimpse import LONG_SIDE_PX, MOST_BYTES, Glimpse


def frame(height: int, width: int, age: float = 0.0) -> Frame:
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Frame(image, time.monotonic() - age, 1)


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
    glimpse.see(Frame(ramp, time.monotonic(), 1))
    shown = cv2.imdecode(np.frombuffer(glimpse.jpeg(), np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (360, 640, 3)


def test_nothing_is_shown_of_a_moment_ago_or_of_no_camera() -> None:
    glimpse = Glimpse()
    assert glimpse.jpeg() == b""
    glimpse.see(frame(120, 160, age=3.0))
    assert glimpse.jpeg() == b""
