"""Cameras that OpenCV's wheel cannot open: GStreamer in a process of its own, pictures through a pipe.

The Raspberry Pi's camera modules speak through libcamera, the Jetson's through NVIDIA's Argus; both have a GStreamer
element, and no wheel of OpenCV is built with GStreamer. The pipe carries YUV4MPEG2 (mjpegtools, yuv4mpeg(5)): each
stream begins with its size, each picture with a mark, so that a pipe out of step is noticed and never looked at.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import time
from fractions import Fraction
from typing import Final

import cv2
import numpy as np

from device.picture import Picture, Pixels
from firmware_config.errors import BadInput, LostLink
from firmware_config.masking import masked
from firmware_config.settings import CameraSettings

PROGRAM: Final = "gst-launch-1.0"
INSTALL: Final = "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"

OPEN_S: Final = 10.0
"""Until the first picture: libcamera loads its tuning and waits for the exposure to settle, 1 to 3 s on a Pi."""

READ_S: Final = 2.0
"""Silence after which the camera is reopened, as with FFmpeg's sources."""

CLOSE_S: Final = 1.0
"""What GStreamer gets to let go of the camera before it is killed."""

HEADER_BYTES: Final = 256
WORDS_KEPT: Final = 2000
"""Bytes of GStreamer's last words."""

WIDTH_STEP: Final = 8
"""y4menc pads rows to four bytes, chroma's too, and does not say so: widths that need no padding are asked for."""

SCHEMES: Final = ("libcamera", "jetson", "gst")


def pipeline(address: str, settings: CameraSettings) -> str:
    """What gst-launch-1.0 is given.

    address: `libcamera:` or `libcamera:NAME` (the camera's name as `cam -l` has it), `jetson:` or `jetson:NUMBER`, or
    `gst:` and any pipeline that ends in pictures -> the pipeline, to the pipe. Raises BadInput.
    """
    scheme, _, rest = address.partition(":")
    rest = rest.strip()
    width, height = settings.width, settings.height
    if width % WIDTH_STEP or height % 2:
        raise BadInput(
            f"{width}x{height} cannot go through GStreamer's pipe: camera.width is a multiple of {WIDTH_STEP}, "
            "camera.height of 2."
        )
    rate = Fraction(settings.fps).limit_denominator(1000)
    pace = f"{rate.numerator}/{rate.denominator}"
    size = f"width={width},height={height}"
    if scheme == "libcamera":
        name = f" camera-name={shlex.quote(rest)}" if rest else ""
        source = f"libcamerasrc{name} ! video/x-raw,{size},framerate={pace}"
    elif scheme == "jetson":
        if rest and not rest.isdigit():
            raise BadInput(f"A Jetson's camera is jetson: or jetson:NUMBER, not {address!r}.")
        # Argus picks the sensor's mode by the rate; nvvidconv scales on the chip, videorate drops what is too many.
        source = (
            f"nvarguscamerasrc sensor-id={rest or 0} ! video/x-raw(memory:NVMM),framerate=30/1 ! nvvidconv "
            f"! video/x-raw,format=I420,{size} ! videorate drop-only=true ! video/x-raw,framerate={pace}"
        )
    else:
        source = rest
    if not source:
        raise BadInput("gst: needs a pipeline, for example gst:v4l2src device=/dev/video0.")
    try:
        shlex.split(source)
    except ValueError as error:
        raise BadInput(
            f"The pipeline after gst: is not complete ({str(error).rstrip('.').lower()}): close each quote, and put a "
            "backslash before a quote or a backslash that is meant as it stands."
        ) from error
    # A queue of one that drops the oldest: the pipe holds the newest picture, however slowly it is read.
    tail = f"videoconvert ! videoscale ! video/x-raw,format=I420,{size} ! queue leaky=downstream max-size-buffers=1"
    return f"{source} ! {tail} ! y4menc ! fdsink fd=1 sync=false"


class PipeGrabber:
    """A running pipeline. One thread."""

    def __init__(self, pipeline: str, shown: str) -> None:
        """pipeline: from pipeline(). shown: names the camera in errors. Raises LostLink."""
        if shutil.which(PROGRAM) is None:
            raise LostLink(f"The camera {shown} needs GStreamer, and {PROGRAM} is not installed: {INSTALL}.")
        self._shown = shown
        self._buffer = bytearray()
        self._words = b""
        self._size = (0, 0)
        self._process = subprocess.Popen(  # noqa: S603 - the pipeline is the settings', which are root's
            [PROGRAM, "-q", *shlex.split(pipeline)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pictures, self._complaints = self._process.stdout.fileno(), self._process.stderr.fileno()
        self._deadline = time.monotonic() + OPEN_S
        try:
            self._size = self._first_size()
        except BaseException:
            self.release()  # whatever it was: the camera is opened again, and two processes cannot share it
            raise

    def read(self) -> tuple[Picture, float, str] | None:
        """The next picture, see sources.Grabber. Raises BadInput when the pipe is out of step."""
        self._deadline = time.monotonic() + READ_S
        mark = self._line()
        if mark is not None and mark.startswith(b"YUV4MPEG2"):
            self._size = _size(mark, self._shown)  # the camera changed its size
            mark = self._line()
        if mark is None:
            return None
        # Before the rest is there: the picture is complete in the other process, the pipe only takes time.
        taken = time.monotonic()
        if not mark.startswith(b"FRAME"):
            raise BadInput(f"GStreamer's pipe from {self._shown} is out of step")
        width, height = self._size
        planes = self._take(width * height * 3 // 2)
        if planes is None:
            return None
        yuv = np.frombuffer(planes, np.uint8).reshape(height * 3 // 2, width)
        return Pixels(np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)), taken, ""

    def release(self) -> None:
        """Ends the process."""
        self._process.terminate()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _first_size(self) -> tuple[int, int]:
        opened = self._line()
        if opened is None:
            raise LostLink(f"The camera {self._shown} cannot be opened: {self._last_words()}")
        return _size(opened, self._shown)

    def _line(self) -> bytes | None:
        """Up to the next line's end; None when the pipe ends or is silent for too long. Raises BadInput."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > HEADER_BYTES:
                raise BadInput(f"GStreamer's pipe from {self._shown} is out of step")
            if not self._fill():
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _take(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            if not self._fill():
                return None
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _fill(self) -> bool:
        """More of the pipe into the buffer. Complaints are read too: a full pipe of them would stop GStreamer."""
        while True:
            left = self._deadline - time.monotonic()
            ready, _, _ = select.select([self._pictures, self._complaints], [], [], max(left, 0))
            if self._complaints in ready:
                said = os.read(self._complaints, 4096)
                self._words = (self._words + said)[-WORDS_KEPT:]
                if not said and self._pictures not in ready:
                    return False
            if self._pictures in ready:
                more = os.read(self._pictures, 1 << 20)
                self._buffer += more
                return bool(more)
            if not ready:
                return False

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._words.decode("utf-8", "replace").splitlines() if line.strip()]
        said = next((line for line in lines if "ERROR" in line or "no element" in line), lines[-1] if lines else "")
        return masked(said)[:300] or f"it sends no picture within {OPEN_S:.0f} s."


def _size(header: bytes, shown: str) -> tuple[int, int]:
    """YUV4MPEG2's first line -> width, height. Raises LostLink for pictures of another kind."""
    words = header.decode("ascii", "replace").split()
    fields = {word[0]: word[1:] for word in words[1:]}
    width, height = fields.get("W", ""), fields.get("H", "")
    if words[:1] != ["YUV4MPEG2"] or not (width.isdigit() and height.isdigit()):
        raise LostLink(f"The camera {shown} sends no YUV4MPEG2 but {header[:40]!r}.")
    if not fields.get("C", "420").startswith("420") or int(width) % WIDTH_STEP or int(height) % 2:
        raise LostLink(f"The camera {shown} sends {header[:60]!r}; I420 in a size without padding is read.")
    return int(width), int(height)
