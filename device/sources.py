"""Where pictures come from: one URL-like setting -> something that can be read frame by frame."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import cv2
import numpy as np

from device.demo_camera import DemoPlan, DemoScene, parse_demo
from device.gstreamer import SCHEMES, PipeGrabber, pipeline
from device.picture import Jpeg, Picture, Pixels, as_bgr
from firmware_config.att import att_faces
from firmware_config.errors import BadInput, LostLink
from firmware_config.face import ImageArray
from firmware_config.masking import masked
from firmware_config.settings import CameraSettings

log = logging.getLogger("latchkey.camera")

STREAM_TIMEOUT_MS: Final = 2000
"""FFmpeg's own limit for opening and for a read: a camera that is silent for so long is reopened."""

FOURCC: Final = {"mjpeg": "MJPG", "yuyv": "YUYV"}
"""V4L2's names of camera.format."""

TORN_IN_A_ROW: Final = 15
"""JPEGs, a second of them: a bad cable tears one now and then, a camera that sends no other is reopened."""

RTSP_OPEN_MS: Final = 6000
"""Opening RTSP waits for a whole picture, with H.264 up to four seconds away; the camera's thread alone waits."""

IMAGE_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
STREAM_SCHEMES: Final = ("rtsp", "rtsps", "http", "https")

# UDP, FFmpeg's default, loses packets on Wi-Fi and shows torn faces. It is read when a capture is opened.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")


class Kind(Enum):
    """What a source is; the first four are live, the others end."""

    DEVICE = "device"
    STREAM = "stream"
    PIPE = "pipe"
    DEMO = "demo"
    VIDEO = "video"
    PICTURES = "pictures"


@dataclass(frozen=True)
class Source:
    """A source that is written correctly; whether it is there is found out by opening it."""

    kind: Kind
    address: str

    @property
    def live(self) -> bool:
        """A recording ends and may repeat a picture; a camera does neither."""
        return self.kind in (Kind.DEVICE, Kind.STREAM, Kind.PIPE, Kind.DEMO)

    def __str__(self) -> str:
        """The address as it may be shown: without the camera's password."""
        return masked(self.address)


def parse_source(text: str) -> Source:
    """`0`, `/dev/video0`, `libcamera:`, `jetson:`, `gst:PIPELINE`, `rtsp://...`, `http://...`, a video or image file, a
    folder of images, or `demo:?...`.

    Raises BadInput when it is none of these, or a file or folder that does not exist.
    """
    text = text.strip()
    scheme = text.partition(":")[0].lower()
    if re.fullmatch(r"\d{1,3}", text) or re.fullmatch(r"/dev/video\d{1,3}|/dev/v4l/.+", text):
        return Source(Kind.DEVICE, text)
    if scheme == "demo":
        parse_demo(text)
        return Source(Kind.DEMO, text)
    if scheme in SCHEMES:
        pipeline(text, CameraSettings())
        return Source(Kind.PIPE, text)
    if "://" in text:
        if scheme not in STREAM_SCHEMES:
            raise BadInput(f"A camera's address begins with {', '.join(STREAM_SCHEMES)} or demo:, not {scheme}:.")
        try:
            host = urlsplit(text).hostname
        except ValueError:
            host = None
        if not host:
            raise BadInput(f"The camera's address {Source(Kind.STREAM, text)} names no host.")
        return Source(Kind.STREAM, text)
    path = Path(text)
    if not text or not path.exists():
        raise BadInput(
            f"{masked(text)!r} is no camera: give its number (0), a device (/dev/video0), libcamera:, jetson:, rtsp:// "
            f"or http://, a file or folder that exists, or demo:."
        )
    pictures = path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES
    return Source(Kind.PICTURES if pictures else Kind.VIDEO, text)


class Grabber(Protocol):
    """An open source."""

    def read(self) -> tuple[Picture, float, str] | None:
        """The next picture, when it was taken (monotonic, s), and its label.

        Blocks until there is one. None when the source ended or broke: it then stays broken.
        """

    def release(self) -> None:
        """Lets go of the source."""


def open_source(source: Source, settings: CameraSettings) -> Grabber:
    """Opens a source. Raises LostLink when it does not answer, BadInput when it holds no picture."""
    if source.kind is Kind.DEMO:
        return DemoGrabber(parse_demo(source.address), settings.fps)
    if source.kind is Kind.PIPE:
        return PipeGrabber(pipeline(source.address, settings), str(source))
    if source.kind in (Kind.DEVICE, Kind.STREAM):
        return LiveGrabber(source, settings)
    return RecordingGrabber(source, settings.fps)


class LiveGrabber:
    """A camera through OpenCV: V4L2 or FFmpeg."""

    def __init__(self, source: Source, settings: CameraSettings) -> None:
        """Raises LostLink when the camera cannot be opened."""
        if source.kind is Kind.STREAM:
            # One thread: with more, FFmpeg holds a picture back for each, and a picture's age is counted from the read.
            limits = [cv2.CAP_PROP_N_THREADS, 1, cv2.CAP_PROP_READ_TIMEOUT_MSEC, STREAM_TIMEOUT_MS]
            slow = source.address.lower().startswith("rtsp")
            limits += [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, RTSP_OPEN_MS if slow else STREAM_TIMEOUT_MS]
            self._capture = cv2.VideoCapture(source.address, cv2.CAP_FFMPEG, limits)
        else:
            device = int(source.address) if source.address.isdigit() else source.address
            self._capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
            if settings.format != "any":
                self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*FOURCC[settings.format]))
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
            self._capture.set(cv2.CAP_PROP_FPS, settings.fps)
            # The driver's queue would hand out pictures that are four frames old after any pause.
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not self._capture.isOpened():
            self._capture.release()
            raise LostLink(f"The camera {source} cannot be opened: is it plugged in, and used by nothing else?")
        given = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("latin-1")
        if source.kind is Kind.DEVICE and settings.format != "any" and given != FOURCC[settings.format]:
            # A driver that does not know what was asked takes what it likes; OpenCV converts it, at a cost.
            log.warning("The camera %s gives %r, not the %s that was asked for.", source, given, settings.format)
        # JPEGs as they are, see picture.py: most pictures of a day are looked at no further than for motion.
        as_they_are = (cv2.CAP_PROP_CONVERT_RGB, 0) if source.kind is Kind.DEVICE else (cv2.CAP_PROP_FORMAT, -1)
        self._encoded = given == FOURCC["mjpeg"] and self._capture.set(*as_they_are)

    def read(self) -> tuple[Picture, float, str] | None:
        for _ in range(TORN_IN_A_ROW):
            if not self._capture.grab():
                return None
            # Before decoding: the age of a frame counts from when it was taken.
            taken = time.monotonic()
            good, image = self._capture.retrieve()
            if not good:
                return None
            if not self._encoded:
                return Pixels(as_bgr(np.asarray(image))), taken, ""
            with contextlib.suppress(BadInput):
                return Jpeg(image.tobytes()), taken, ""
        return None

    def release(self) -> None:
        self._capture.release()


class RecordingGrabber:
    """A video file or pictures, once, at the given pace."""

    def __init__(self, source: Source, fps: float) -> None:
        self._frames = read_frames(Path(source.address))
        self._pace = Pace(fps)

    def read(self) -> tuple[Picture, float, str] | None:
        named = next(self._frames, None)
        if named is None:
            return None
        self._pace.wait()
        return Pixels(named[1]), time.monotonic(), named[0]

    def release(self) -> None:
        pass  # read_frames closes its file when it ends or is collected


class DemoGrabber:
    """demo_camera's scene in real time, from the first read on."""

    def __init__(self, plan: DemoPlan, fps: float) -> None:
        """Raises LostLink when the AT&T faces are neither cached nor reachable."""
        self._scene = DemoScene(plan, att_faces())
        self._pace = Pace(fps)

    def read(self) -> tuple[Picture, float, str] | None:
        image, label = self._scene.at(self._pace.wait())
        return Pixels(image), time.monotonic(), label

    def release(self) -> None:
        pass


class Pace:
    """A steady beat that catches up rather than drifts."""

    def __init__(self, fps: float) -> None:
        """fps: beats a second."""
        self._period_s = 1.0 / fps
        self._origin: float | None = None
        self._due = 0.0

    def wait(self) -> float:
        """Blocks until the next beat -> seconds since the first one."""
        now = time.monotonic()
        if self._origin is None:
            self._origin = self._due = now
        self._due = max(self._due, now - self._period_s)
        time.sleep(max(0.0, self._due - now))
        elapsed = max(self._due, now) - self._origin
        self._due += self._period_s
        return elapsed


def read_frames(path: Path) -> Iterator[tuple[str, ImageArray]]:
    """Every picture of a video file, an image file or a folder of images, as fast as it is asked for.

    -> its name (the file's, or `FILE#NUMBER` in a video) and uint8[H, W, 3] BGR; a folder in the order of names. A
    picture that cannot be read is skipped with a warning that names it. Raises BadInput when there is none at all.
    """
    if not path.exists():
        raise BadInput(f"There is nothing at {path} to read frames from.")
    is_picture = path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES
    frames = _pictures(path) if is_picture else _video(path)
    first = next(frames, None)
    if first is None:
        raise BadInput(f"{path} holds no picture that can be read.")
    yield first
    yield from frames


def _pictures(path: Path) -> Iterator[tuple[str, ImageArray]]:
    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
    for file in files:
        image = cv2.imdecode(np.frombuffer(file.read_bytes() or b"\0", np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            log.warning("%s is not an image that can be read; skipped.", file)
        else:
            yield file.name, np.asarray(image, dtype=np.uint8)


def _video(path: Path) -> Iterator[tuple[str, ImageArray]]:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        number = 0
        while True:
            good, image = capture.read()
            if not good:
                return
            yield f"{path.name}#{number}", as_bgr(np.asarray(image))
            number += 1
    finally:
        capture.release()
