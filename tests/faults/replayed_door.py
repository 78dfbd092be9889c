"""A door that sees recorded frames as fast as it can take them, and says how much memory it has: for memory.py.

    python -m tests.faults.replayed_door door.toml FRAMES

Everything but camera and pace is `latchkey-device run`: detector, encoder, decisions, audit, outbox, link.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from device.camera import Camera, Frame
from device.daemon import Daemon
from device.demo_camera import DemoScene, parse_demo
from device.outfit import Outfit, load_settings
from device.picture import Pixels
from firmware_config.att import att_faces
from firmware_config.face import ImageArray
from firmware_config.settings import CameraSettings

EVERY = 500
"""Frames between two lines."""

RECORDED = 150
"""Pictures that are kept and shown again and again: two walk-ups and the wall between them."""


def resident_mb() -> float:
    """What this process has in memory, in 10^6 bytes (proc(5), statm: pages of 4096 bytes)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


class Replay(Camera):
    """Frames of the demo, drawn beforehand, without waiting."""

    def __init__(self, frames: int, stop: threading.Event) -> None:
        scene = DemoScene(parse_demo("demo:?owners=31,32&strangers=5,6&photos=1&seed=3&gap=1.2"), att_faces())
        self._pictures: list[tuple[ImageArray, str]] = [scene.at(n / 15) for n in range(RECORDED)]
        self._left = frames
        self._stop_door = stop
        self._taken = 0

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def newest(self, timeout_s: float) -> Frame | None:
        """The next picture; None after the last one."""
        if self._taken == self._left:
            print(f"{self._taken} {resident_mb():.3f}", flush=True)
            self._stop_door.set()
            return None
        self._taken += 1
        if self._taken % EVERY == 0:
            print(f"{self._taken} {resident_mb():.3f}", flush=True)
        image, label = self._pictures[self._taken % RECORDED]
        return Frame(Pixels(image), time.monotonic(), self._taken, label)

    @property
    def state(self) -> str:
        return "ok"

    @property
    def why(self) -> str:
        return ""


def main(settings: Path, frames: int) -> int:
    cameras: Iterator[Camera]
    daemon: Daemon

    def open_camera(_settings: CameraSettings) -> Camera:
        return next(cameras)

    daemon = Daemon(load_settings(settings), settings, Outfit(open_camera=open_camera))
    cameras = iter([Replay(frames, daemon.stop)])
    return daemon.run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
