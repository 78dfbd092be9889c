"""The camera hands out the newest frame once, and says within a second when there is none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.camera import Camera, open_camera, read_frames
from device.sources import Grabber, Kind, Source, parse_source
from firmware_config.errors import BadInput, LostLink
from firmware_config.face import ImageArray
from firmware_config.settings import CameraSettings

LIVE = Source(Kind.DEVICE, "0")


def view(number: int) -> ImageArray:
    """A picture that is like no other number's."""
    return np.random.default_rng(number).integers(60, 200, (48, 64, 3), dtype=np.uint8)


class Script:
    """A camera whose pictures are a list; then it hangs as `at_end` says."""

    def __init__(self, pictures: Iterator[ImageArray], period_s: float = 0.02) -> None:
        self.pictures, self.period_s, self.released = pictures, period_s, False

    def read(self) -> tuple[ImageArray, float, str] | None:
        time.sleep(self.period_s)
        image = next(self.pictures, None)
        return None if image is None else (image, time.monotonic(), "")

    def release(self) -> None:
        self.released = True


def scripted(*openings: Grabber | LostLink) -> Camera:
    """A camera that opens as these, one after the other, the last again and again."""
    turns = list(openings)

    def opener(source: Source, settings: CameraSettings) -> Grabber:
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        if isinstance(turn, LostLink):
            raise turn
        return turn

    return Camera(LIVE, CameraSettings(), opener)


def endless(first: int = 0) -> Iterator[ImageArray]:
    number = first
    while True:
        yield view(number)
        number += 1


def wait_for(condition: Callable[[], bool], seconds: float) -> float:
    """Seconds until the condition held; fails after `seconds`."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - start


def test_only_the_newest_frame_is_kept_and_none_is_handed_out_twice() -> None:
    with scripted(Script(endless())) as camera:
        first = camera.newest(2)
        time.sleep(0.3)
        second = camera.newest(2)
        assert first is not None
        assert second is not None
        assert second.sequence > first.sequence + 3
        assert time.monotonic() - second.captured_at < 0.5
        assert camera.state == "ok"
        assert camera.why == ""


def test_without_a_frame_the_reader_waits_no_longer_than_it_said() -> None:
    with scripted(LostLink("The camera is not there.")) as camera:
        start = time.monotonic()
        assert camera.newest(0.1) is None
        assert time.monotonic() - start < 0.5


def test_absent_camera_is_told_and_found_when_it_comes() -> None:
    with scripted(LostLink("The camera is not there."), Script(endless())) as camera:
        wait_for(lambda: camera.state == "lost", 1)
        assert camera.why == "The camera is not there."
        assert camera.newest(3) is not None
        assert camera.state == "ok"


def test_unplugged_camera_is_released_reported_and_reopened() -> None:
    pulled = Script(view(n) for n in range(5))
    with scripted(pulled, Script(endless(100))) as camera:
        wait_for(lambda: pulled.released, 1)
        wait_for(lambda: camera.state == "lost", 0.2)
        wait_for(lambda: camera.state == "ok", 3)


def test_camera_that_hangs_is_lost_within_a_second() -> None:
    plug = threading.Event()

    def hanging() -> Iterator[ImageArray]:
        yield view(1)
        plug.wait(10)

    with scripted(Script(hanging())) as camera:
        last = camera.newest(2)
        assert last is not None
        assert camera.state == "ok"
        time.sleep(max(0.0, last.captured_at + 1.0 - time.monotonic()))
        assert camera.state == "lost"
        assert "no picture" in camera.why
        plug.set()


def test_frozen_picture_is_handed_out_once_and_then_reported() -> None:
    def frozen() -> Iterator[ImageArray]:
        while True:
            yield view(7)

    with scripted(Script(frozen())) as camera:
        assert camera.newest(2) is not None
        wait_for(lambda: camera.state == "frozen", 1.2)
        assert camera.newest(0.2) is None
        assert "repeats one picture" in camera.why


def test_a_doubled_frame_now_and_then_is_no_freeze() -> None:
    doubled = (view(n // 2) for n in range(10_000))
    with scripted(Script(doubled)) as camera:
        seen = [frame for _ in range(20) if (frame := camera.newest(1)) is not None]
        assert len(seen) == 20
        assert all(not np.array_equal(a.image, b.image) for a, b in pairwise(seen))
        assert camera.state == "ok"


def test_black_picture_is_never_handed_out() -> None:
    # Noise of a covered sensor, so it is black and not frozen.
    black = (np.random.default_rng(n).integers(0, 4, (48, 64, 3), dtype=np.uint8) for n in range(10_000))
    with scripted(Script(black)) as camera:
        wait_for(lambda: camera.state == "black", 1.2)
        assert camera.newest(0.1) is None
        assert "uncover" in camera.why


def test_error_in_a_picture_does_not_end_the_watch() -> None:
    def torn() -> Iterator[ImageArray]:
        yield view(1)
        raise ValueError("a torn picture")

    with scripted(Script(torn()), Script(endless(100))) as camera:
        wait_for(lambda: camera.state == "lost", 1)
        assert "a torn picture" in camera.why
        wait_for(lambda: camera.state == "ok", 3)


def test_recovers_from_black() -> None:
    def covered_then_not() -> Iterator[ImageArray]:
        for n in range(60):
            yield np.full((48, 64, 3), n % 2, np.uint8)
        yield from endless()

    with scripted(Script(covered_then_not())) as camera:
        wait_for(lambda: camera.state == "black", 2)
        wait_for(lambda: camera.state == "ok", 3)
        assert camera.newest(1) is not None


class MjpegDoor(ThreadingHTTPServer):
    """A network camera."""

    daemon_threads = True
    sending = True


class MjpegHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        number = 0
        while getattr(self.server, "sending", False):
            number += 1
            image = cv2.resize(view(number), (320, 240))
            jpeg = cv2.imencode(".jpg", image)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                return
            time.sleep(0.04)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.slow
def test_network_camera_comes_goes_and_comes_back() -> None:
    server = MjpegDoor(("127.0.0.1", 0), MjpegHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = CameraSettings(source=f"http://127.0.0.1:{server.server_port}/video.mjpeg")
    try:
        with open_camera(settings) as camera:
            frame = camera.newest(15)
            assert frame is not None, camera.why
            assert frame.image.shape == (240, 320, 3)
            server.sending = False
            # One frame more may be on its way.
            time.sleep(1.2)
            assert camera.state == "lost"
            server.sending = True
            wait_for(lambda: camera.state == "ok", 20)
    finally:
        server.sending = False
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (3, 1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), view(number))
    (tmp_path / "2b.png").write_bytes(b"not a picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not read")
    return tmp_path


def test_folder_is_read_in_order_and_a_broken_picture_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="latchkey.camera"):
        frames = list(read_frames(folder))
    assert [name for name, _ in frames] == ["1.png", "2.png", "3.png"]
    assert np.array_equal(frames[0][1], view(1))
    assert "2b.png" in caplog.text
    assert "empty.jpg" in caplog.text


def test_video_is_read_frame_by_frame(tmp_path: Path) -> None:
    path = tmp_path / "door.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 15, (64, 48))
    for number in range(5):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    frames = list(read_frames(path))
    assert [name for name, _ in frames] == [f"door.avi#{n}" for n in range(5)]
    assert [round(float(image.mean()) / 40) for _, image in frames] == list(range(5))


def test_grey_pictures_become_colour(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.pgm"), view(1)[..., 0])
    ((name, image),) = read_frames(tmp_path / "grey.pgm")
    assert name == "grey.pgm"
    assert image.shape == (48, 64, 3)


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no picture"):
        list(read_frames(tmp_path))
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(BadInput, match="holds no picture"):
        list(read_frames(tmp_path / "text.mp4"))
    with pytest.raises(BadInput, match="nothing at"):
        list(read_frames(tmp_path / "missing"))


def test_recording_is_played_once_at_its_pace_and_labelled(folder: Path) -> None:
    with open_camera(CameraSettings(source=str(folder), fps=10)) as camera:
        start = time.monotonic()
        labels = [frame.label for _ in range(3) if (frame := camera.newest(2)) is not None]
        assert labels == ["1.png", "2.png", "3.png"]
        assert time.monotonic() - start > 0.15
        wait_for(lambda: camera.state == "lost", 1)
        assert "has ended" in camera.why


def test_empty_folder_is_a_lost_camera_with_a_reason(tmp_path: Path) -> None:
    with open_camera(CameraSettings(source=str(tmp_path))) as camera:
        wait_for(lambda: camera.state == "lost", 1)
        wait_for(lambda: "holds no picture" in camera.why, 1)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0", Kind.DEVICE),
        ("/dev/video2", Kind.DEVICE),
        ("rtsp://cam.local/1", Kind.STREAM),
        ("http://10.0.0.7:8080/video.mjpeg", Kind.STREAM),
        ("demo:", Kind.DEMO),
        ("demo:?walkups=3", Kind.DEMO),
    ],
)
def test_sources(text: str, kind: Kind) -> None:
    source = parse_source(text)
    assert source.kind is kind
    assert source.live


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is no camera"),
        ("/no/such/file.mp4", "is no camera"),
        ("ftp://cam/1", "begins with rtsp"),
        ("rtsp://", "names no host"),
        ("rtsp://user:secret@", "names no host"),
        ("demo:?owner=3", "has no 'owner'"),
        ("demo:?owners=41", "numbers go from 1 to 40"),
        ("demo:?owners=3&strangers=3", "both owner and stranger"),
        ("demo:?pause=long", "pause=long"),
        ("demo:?pause=nan", "0 to 60"),
    ],
)
def test_wrong_sources_are_explained(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as refused:
        parse_source(text)
    assert "secret" not in str(refused.value)


def test_passwords_are_not_shown() -> None:
    assert str(parse_source("rtsp://admin:secret@cam.local/1")) == "rtsp://***@cam.local/1"
