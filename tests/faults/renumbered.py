"""A USB camera that comes back under another number: no kernel here has V4L2, so the device nodes are files.

The camera, its thread, its patience and its states are the product's; only what opens the node is a double.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np

from device.camera import Camera, Frame
from device.picture import Picture, Pixels
from device.sources import Grabber, Kind, Source
from firmware_config.errors import LostLink
from firmware_config.face import ImageArray
from firmware_config.settings import CameraSettings
from tests.faults.mjpeg import PERIOD_S, renumber
from tests.waiting import until


class Node:
    """An open device node: it gives pictures as long as the node is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chance = np.random.default_rng(0)

    def read(self) -> tuple[Picture, float, str] | None:
        time.sleep(PERIOD_S)
        if not self._path.exists():
            return None
        image: ImageArray = self._chance.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        return Pixels(image), time.monotonic(), self._path.name

    def release(self) -> None:
        pass


def renumbered(folder: Path, draw: random.Random) -> tuple[float, float]:
    """Unplug video0, plug it in again as another number -> s until it was missed, s until its pictures came again."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "video0").touch()
    link = renumber(folder, "video0")

    def open_node(_source: Source, _settings: CameraSettings) -> Grabber:
        if not link.exists():
            raise LostLink("There is no camera at that name.")
        return Node(link.resolve())

    with Camera(Source(Kind.DEVICE, "/dev/v4l/by-id/faults"), CameraSettings(), open_node) as camera:
        assert until(lambda: camera.newest(0.1), 5), camera.why
        (folder / "video0").unlink()
        gone = time.monotonic()
        assert until(lambda: camera.state == "lost", 5), camera.state
        missed = time.monotonic() - gone
        time.sleep(draw.uniform(0.5, 12.0))
        while camera.newest(0.0) is not None:
            pass
        name = f"video{draw.randrange(1, 9)}"
        (folder / name).touch()
        renumber(folder, name)
        back = time.monotonic()
        frame = _next_frame(camera, 30.0)
        took = time.monotonic() - back
        assert until(lambda: camera.state == "ok", 1), camera.why
    assert frame is None or frame.label == name, "a picture of the camera that is gone"
    return missed, took


def _next_frame(camera: Camera, limit_s: float) -> Frame | None:
    deadline = time.monotonic() + limit_s
    frame = None
    while frame is None and time.monotonic() < deadline:
        frame = camera.newest(0.1)
    return frame
