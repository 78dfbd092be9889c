"""Where pictures come from: a network camera, a recording, a folder; and what is no source."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.camera import open_camera, read_frames
from device.picture import Jpeg
from device.sources import Kind, open_source, parse_source
from firmware_config.errors import BadInput
from firmware_config.settings import CameraSettings
from tests.pictures import jpeg, view
from tests.waiting import until


class MjpegDoor(ThreadingHTTPServer):
    """A network camera."""

    daemon_threads = True
    sending = True
    torn_every = 1_000_000


class MjpegHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        number = 0
        while getattr(self.server, "sending", False):
            number += 1
            file = jpeg(np.asarray(cv2.resize(view(number), (320, 240)), np.uint8))
            if number % getattr(self.server, "torn_every", 1) == 0:
                file = file[: len(file) // 2]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(file)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + file + b"\r\n")
            except OSError:
                return
            time.sleep(0.04)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[MjpegDoor]:
    server = MjpegDoor(("127.0.0.1", 0), MjpegHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.sending = False
    server.shutdown()
    server.server_close()


def settings_of(server: MjpegDoor) -> CameraSettings:
    return CameraSettings(source=f"http://127.0.0.1:{server.server_port}/video.mjpeg")


@pytest.mark.slow
def test_network_camera_comes_goes_and_comes_back(camera: MjpegDoor) -> None:
    with open_camera(settings_of(camera)) as opened:
        frame = opened.newest(15)
        assert frame is not None, opened.why
        assert frame.image.shape == (240, 320, 3)
        camera.sending = False
        assert until(lambda: opened.state == "lost", 20, 0.01)
        camera.sending = True
        assert until(lambda: opened.state == "ok", 20, 0.01)


def test_jpegs_of_a_network_camera_are_not_decoded_before_somebody_looks(camera: MjpegDoor) -> None:
    settings = settings_of(camera)
    grabber = open_source(parse_source(settings.source), settings)
    read = grabber.read()
    assert read is not None
    assert isinstance(read[0], Jpeg)
    assert np.abs(read[0].image.astype(int) - cv2.resize(view(1), (320, 240))).mean() < 10
    grabber.release()


def test_a_torn_jpeg_is_passed_over_and_the_camera_stays(camera: MjpegDoor) -> None:
    camera.torn_every = 2
    settings = settings_of(camera)
    grabber = open_source(parse_source(settings.source), settings)
    assert all(grabber.read() for _ in range(10))
    grabber.release()


def test_a_camera_that_sends_nothing_whole_is_lost(camera: MjpegDoor) -> None:
    camera.torn_every = 1
    settings = settings_of(camera)
    grabber = open_source(parse_source(settings.source), settings)
    assert grabber.read() is None
    grabber.release()


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
        labels = [frame.label for _ in range(3) if (frame := camera.newest(20)) is not None]
        assert labels == ["1.png", "2.png", "3.png"]
        assert time.monotonic() - start > 0.15
        assert until(lambda: camera.state == "lost", step_s=0.01)
        assert "has ended" in camera.why


def test_empty_folder_is_a_lost_camera_with_a_reason(tmp_path: Path) -> None:
    with open_camera(CameraSettings(source=str(tmp_path))) as camera:
        assert until(lambda: camera.state == "lost", step_s=0.01)
        assert until(lambda: "holds no picture" in camera.why, step_s=0.01)


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
        ("rtsp:/user:secret@cam", "is no camera"),
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


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:secret@cam.local/1", "rtsp://***@cam.local/1"),
        ("http://admin:p@ss-secret@cam.local:80/v", "http://***@cam.local:80/v"),
        ("rtsp://admin:Zq/secret+x==@10.0.0.5/s", "rtsp://***@10.0.0.5/s"),
        ("rtsp://cam.local/user=admin&password=secret&channel=1", "rtsp://cam.local/user=admin&password=***"),
        ("rtsp://cam.local/1", "rtsp://cam.local/1"),
        ("gst:rtspsrc location=rtsp://a:secret@cam/1 ! decodebin", "gst:***@cam/1 ! decodebin"),
        ("gst:rtspsrc location=rtsp://cam user-pw=secret", "gst:rtspsrc location=rtsp://cam user-pw=***"),
        ('gst:rtspsrc user-id=ann user-pw="a secret" ! x', "gst:rtspsrc user-id=***"),
        ("gst:v4l2src device=/dev/video0", "gst:v4l2src device=/dev/video0"),
    ],
)
def test_passwords_are_not_shown(address: str, shown: str) -> None:
    assert str(parse_source(address)) == shown


class StubbornDriver:
    """A V4L2 driver that takes the pixel format it likes, and another size after its first picture."""

    def __init__(self, *_: object) -> None:
        self._sizes = iter([(480, 640), (720, 1280)])

    def set(self, _property: int, _value: float) -> bool:
        return False

    def get(self, property_: int) -> float:
        return float(cv2.VideoWriter.fourcc(*"NV12")) if property_ == cv2.CAP_PROP_FOURCC else 0.0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.zeros((*next(self._sizes), 3), np.uint8)

    def release(self) -> None:
        pass


def test_another_pixel_format_is_told_and_another_size_is_followed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", StubbornDriver)
    with caplog.at_level(logging.WARNING):
        grabber = open_source(parse_source("0"), CameraSettings(source="0", format="mjpeg"))
    assert "gives 'NV12', not the mjpeg that was asked for" in caplog.text
    shapes = [read[0].image.shape for _ in range(2) if (read := grabber.read()) is not None]
    assert shapes == [(480, 640, 3), (720, 1280, 3)]


class MjpegDriver(StubbornDriver):
    """A V4L2 driver that has MJPEG, and gives it undecoded once told to, as OpenCV's cap_v4l.cpp does."""

    def __init__(self, *_: object) -> None:
        self.raw = False

    def set(self, property_: int, value: float) -> bool:
        if property_ == cv2.CAP_PROP_CONVERT_RGB:
            self.raw = not value
        return True

    def get(self, property_: int) -> float:
        return float(cv2.VideoWriter.fourcc(*"MJPG")) if property_ == cv2.CAP_PROP_FOURCC else 0.0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.frombuffer(jpeg(view(3)), np.uint8)[None] if self.raw else view(3)


def test_jpegs_of_a_usb_camera_are_not_decoded_before_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", MjpegDriver)
    read = open_source(parse_source("0"), CameraSettings(source="0", format="mjpeg")).read()
    assert read is not None
    assert isinstance(read[0], Jpeg)
    assert read[0].image.shape == (48, 64, 3)
