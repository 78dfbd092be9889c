"""The camera hands out the newest frame once, and says within a second when there is none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from device.camera import Camera
from device.picture import Picture, Pixels
from device.sources import Grabber, Kind, Source
from firmware_config.errors import LostLink
from firmware_config.face import ImageArray
from firmware_config.settings import CameraSettings
from tests.pictures import Sent, as_jpeg, view
from tests.waiting import until

LIVE = Source(Kind.DEVICE, "0")


class Script:
    """A camera whose pictures are a list; it sends them as `sent` makes them, taken `age_s` ago."""

    def __init__(
        self, pictures: Iterator[ImageArray], period_s: float = 0.02, sent: Sent = Pixels, age_s: float = 0.0
    ) -> None:
        self.pictures, self.period_s, self.released, self.asked = pictures, period_s, False, 0
        self.sent, self.age_s = sent, age_s

    def read(self) -> tuple[Picture, float, str] | None:
        time.sleep(self.period_s)
        self.asked += 1
        image = next(self.pictures, None)
        return None if image is None else (self.sent(image), time.monotonic() - self.age_s, "")

    def release(self) -> None:
        self.released = True


def scripted(*openings: Grabber | Exception, fps: float = 15.0) -> Camera:
    """A camera that opens as these, one after the other, the last again and again."""
    turns = list(openings)

    def opener(source: Source, settings: CameraSettings) -> Grabber:
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(turn, Exception):
            raise turn
        return turn

    return Camera(LIVE, CameraSettings(fps=fps), opener)


def endless(first: int = 0) -> Iterator[ImageArray]:
    number = first
    while True:
        yield view(number)
        number += 1


def test_only_the_newest_frame_is_kept_and_none_is_handed_out_twice() -> None:
    source = Script(endless())
    with scripted(source) as camera:
        first = camera.newest(20)
        assert first is not None
        asked = source.asked
        assert until(lambda: source.asked >= asked + 6, step_s=0.01)
        second = camera.newest(20)
        assert second is not None
        assert second.sequence > first.sequence + 3, "not the oldest that was waiting"
        assert camera.state == "ok"
        assert camera.why == ""


def test_without_a_frame_the_reader_waits_no_longer_than_it_said() -> None:
    with scripted(LostLink("The camera is not there.")) as camera:
        start = time.monotonic()
        assert camera.newest(0.1) is None
        assert 0.1 <= time.monotonic() - start < 5


def test_absent_camera_is_told_and_found_when_it_comes() -> None:
    with scripted(LostLink("The camera is not there."), Script(endless())) as camera:
        assert until(lambda: camera.state == "lost", step_s=0.01)
        assert camera.why == "The camera is not there."
        assert camera.newest(20) is not None
        assert camera.state == "ok"


@pytest.mark.parametrize(
    ("error", "why"), [(BlockingIOError(11, "no more processes"), "no more processes"), (MemoryError(), "MemoryError")]
)
def test_whatever_fails_at_opening_is_told_and_tried_again(error: Exception, why: str) -> None:
    with scripted(error, Script(endless())) as camera:
        assert until(lambda: camera.state == "lost", step_s=0.01)
        assert camera.why.startswith("The camera 0 cannot be opened: ")
        assert why in camera.why
        assert camera.newest(20) is not None


def test_unplugged_camera_is_released_reported_and_reopened() -> None:
    pulled = Script(view(n) for n in range(5))
    with scripted(pulled, Script(endless(100))) as camera:
        assert until(lambda: pulled.released, step_s=0.01)
        assert until(lambda: camera.state == "lost", step_s=0.01)
        assert until(lambda: camera.state == "ok", step_s=0.01)


def test_camera_that_hangs_is_lost_within_a_second() -> None:
    plug = threading.Event()

    def hanging() -> Iterator[ImageArray]:
        yield view(1)
        plug.wait(10)

    with scripted(Script(hanging())) as camera:
        last = camera.newest(20)
        assert last is not None
        assert camera.state == "ok"
        time.sleep(max(0.0, last.captured_at + 1.0 - time.monotonic()))
        assert camera.state == "lost"
        assert "no picture" in camera.why
        plug.set()


@pytest.mark.parametrize(
    ("fps", "silent_s", "state"),
    [(15, 0.0, "ok"), (15, 0.9, "lost"), (1, 1.3, "ok"), (1, 2.6, "lost"), (0.01, 2.6, "lost")],
)
def test_a_slow_camera_is_not_lost_between_two_pictures(fps: float, silent_s: float, state: str) -> None:
    plug = threading.Event()

    def hanging() -> Iterator[ImageArray]:
        yield view(1)
        plug.wait(10)

    with scripted(Script(hanging(), age_s=silent_s), fps=fps) as camera:
        assert camera.newest(20) is not None
        assert camera.state == state
        plug.set()


@pytest.mark.parametrize(
    ("fps", "silent_s", "state"), [(15, 0.0, "ok"), (15, 0.6, "frozen"), (1, 1.3, "ok"), (1, 2.6, "frozen")]
)
def test_one_picture_twice_is_no_freeze_of_a_slow_camera(fps: float, silent_s: float, state: str) -> None:
    plug = threading.Event()

    def doubled() -> Iterator[ImageArray]:
        yield view(1)
        yield view(1)
        plug.wait(10)

    source = Script(doubled(), age_s=silent_s)
    with scripted(source, fps=fps) as camera:
        assert until(lambda: source.asked == 3, step_s=0.01)
        assert camera.state == state
        plug.set()


@pytest.mark.parametrize("sent", [Pixels, as_jpeg], ids=["pixels", "jpeg"])
def test_frozen_picture_is_handed_out_once_and_then_reported(sent: Sent) -> None:
    def frozen() -> Iterator[ImageArray]:
        while True:
            yield view(7)

    with scripted(Script(frozen(), sent=sent)) as camera:
        assert camera.newest(20) is not None
        assert until(lambda: camera.state == "frozen", step_s=0.01)
        assert camera.newest(0.2) is None
        assert "repeats one picture" in camera.why


def test_a_doubled_frame_now_and_then_is_no_freeze() -> None:
    doubled = (view(n // 2) for n in range(10_000))
    with scripted(Script(doubled)) as camera:
        seen = [frame for _ in range(20) if (frame := camera.newest(1)) is not None]
        assert len(seen) == 20
        assert all(not np.array_equal(a.image, b.image) for a, b in pairwise(seen))
        assert camera.state == "ok"


def test_a_camera_that_sends_each_picture_twice_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "latchkey.camera")
    with scripted(Script(view(n // 2) for n in range(10_000)), fps=1) as camera:
        for _ in range(10):
            assert camera.newest(20) is not None
        assert [record.getMessage().split()[0] for record in caplog.records] == ["ok"]


def test_a_freeze_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "latchkey.camera")

    def frozen() -> Iterator[ImageArray]:
        while True:
            yield view(7)

    source = Script(frozen())
    with scripted(source) as camera:
        assert until(lambda: camera.state == "frozen", step_s=0.01)
        asked = source.asked
        assert until(lambda: source.asked >= asked + 10, step_s=0.01)
        assert [record.getMessage().split()[0] for record in caplog.records] == ["ok", "frozen"]


@pytest.mark.parametrize("sent", [Pixels, as_jpeg], ids=["pixels", "jpeg"])
def test_black_picture_is_never_handed_out(sent: Sent) -> None:
    # Noise of a covered sensor, so it is black and not frozen.
    black = (np.random.default_rng(n).integers(0, 4, (48, 64, 3), dtype=np.uint8) for n in range(10_000))
    with scripted(Script(black, sent=sent)) as camera:
        assert until(lambda: camera.state == "black", step_s=0.01)
        assert camera.newest(0.1) is None
        assert "uncover" in camera.why


def test_error_in_a_picture_does_not_end_the_watch() -> None:
    def torn() -> Iterator[ImageArray]:
        yield view(1)
        raise ValueError("a torn picture")

    with scripted(Script(torn()), Script(endless(100))) as camera:
        assert until(lambda: camera.state == "lost", step_s=0.01)
        assert "a torn picture" in camera.why
        assert until(lambda: camera.state == "ok", step_s=0.01)


def test_recovers_from_black() -> None:
    def covered_then_not() -> Iterator[ImageArray]:
        for n in range(60):
            yield np.full((48, 64, 3), n % 2, np.uint8)
        yield from endless()

    with scripted(Script(covered_then_not())) as camera:
        assert until(lambda: camera.state == "black", step_s=0.01)
        assert until(lambda: camera.state == "ok", step_s=0.01)
        assert camera.newest(1) is not None
