"""python -m benchmarks.board.in_memory door.toml FRAMES CLOCK: the door's own process, with frames that lie in memory.

Everything but the camera is `latchkey-device run`. Says as JSON how long each frame took from memory to the unlock's
hand-over to the broker's socket, and how much of it was in onnxruntime and OpenCV; and, alternating, the two networks
alone on the same pictures: each after the same wait as a frame, one right after the other, and with the caches emptied
before each. CLOCK: `wall`, or `cpu` for the processor time of the door's thread, which says
something while the machine has other work. One of them at a time: what is measured is small beside reading clocks.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as latchkey-device does

import numpy as np

from benchmarks.board.faces import frames
from benchmarks.board.inside import CLOCKS, Inside
from device.align import align
from device.camera import Camera, Frame
from device.daemon import Daemon
from device.detect import Detector
from device.detector_file import detector_model
from device.embed import Encoder
from device.outfit import Outfit, default_bundle, equip, load_settings
from device.picture import Pixels
from firmware_config.bundle import read_bundle
from firmware_config.face import ImageArray, Reason
from firmware_config.settings import DoorSettings

WARM_UP: Final = 20
SITTINGS: Final = 50
"""How often the networks have a turn alone in the course of a run."""
UNCOUNTED: Final = 3
TURNS: Final = 10
"""Pictures in each, after some that are not counted."""
EACH_ALONE: Final = 10
"""One picture goes to the networks alone for so many of the door's."""
PAUSE_S: Final = 0.003
"""After it: about as long as the lock takes for its next challenge."""
WOKEN: Final = "woken"
WARM: Final = "warm"
COLD: Final = "cold"
"""How the core is when the networks have their turn: it has waited as for a frame; it has just run the same; it has
done something else, and its caches hold that."""
OTHER_MEMORY: Final = 2**26
"""Bytes that are read to empty the caches: more than a board or a small computer has of them."""


class Spent(NamedTuple):
    """One frame, from memory to the hand-over of its unlock, ms; and what of it was in the networks and in OpenCV.
    Of a frame that has just begun: as it stood then."""

    whole: float
    networks: float
    opencv: float
    collections: int
    """How often Python's garbage collection ran meanwhile."""
    close: bool = False
    """The face was followed: a part of the picture was looked at."""

    @property
    def glue(self) -> float:
        """Neither in the networks nor in OpenCV."""
        return self.whole - self.networks - self.opencv


class Alone:
    """The detector's and the encoder's session, by turns, on whole pictures."""

    def __init__(self, pictures: list[ImageArray], inside: Inside) -> None:
        self._pictures, self._inside = pictures, inside
        self._detector = Detector(detector_model())
        self._encoder = Encoder(read_bundle(default_bundle().read_bytes(), None).onnx)
        self._taken: dict[str, list[tuple[float, float]]] = {WOKEN: [], WARM: [], COLD: []}
        self._turns = 0
        self._other = np.ones(OTHER_MEMORY, dtype=np.uint8)

    def woken(self) -> None:
        """One picture, when a frame would have come."""
        self._taken[WOKEN].append(self._turn())

    def sit(self) -> None:
        """A few, one right after the other, and as many with the caches emptied before each picture."""
        for kind in (WARM, COLD):
            for turn in range(UNCOUNTED + TURNS):
                if kind == COLD:
                    self._other.max()
                took = self._turn()
                if turn >= UNCOUNTED:
                    self._taken[kind].append(took)

    def _turn(self) -> tuple[float, float]:
        picture = self._pictures[self._turns % len(self._pictures)]
        self._turns += 1
        self._inside.runs.clear()
        face = self._detector.detect(picture)[0]
        self._encoder.embed(align(picture, face.landmarks)[np.newaxis])
        detector, encoder = self._inside.runs
        return detector, encoder

    def medians(self) -> dict[str, dict[str, float]]:
        """Milliseconds, by kind and network."""
        return {
            kind: dict(zip(("detector", "encoder"), map(median, zip(*taken, strict=True)), strict=True))
            for kind, taken in self._taken.items()
        }


class InMemory(Camera):
    """Hands out pictures as soon as the lock can open again. Now and then the networks have a turn alone: a shared
    machine is not as quick all the time, and floor and frames are to have the same share of it. One picture in
    EACH_ALONE is theirs: a core that has waited is slower, and lock, broker and office have work to do just then."""

    def __init__(self, pictures: list[ImageArray], count: int, door: Daemon, inside: Inside, alone: Alone) -> None:
        self._pictures, self._left, self._door, self._inside = pictures, count, door, inside
        self._alone, self._every = alone, max(1, count // SITTINGS)
        self.taken = 0
        self._had_turn = False
        self.begun = self._begin()

    def __enter__(self) -> InMemory:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def newest(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 - pictures in memory need no waiting
        """None while the lock's next challenge is on its way."""
        if self.taken == self._left:
            self._door.stop.set()
            return None
        if not self._door.lock_ready:
            time.sleep(0.001)
            return None
        if self.taken % EACH_ALONE == 0 and not self._had_turn:
            self._had_turn = True
            self._alone.woken()
            time.sleep(PAUSE_S)
            return None
        self._had_turn = False
        if self.taken % self._every == 0:
            self._alone.sit()
        image = self._pictures[self.taken % len(self._pictures)]
        self.taken += 1
        self.begun = self._begin()
        return Frame(Pixels(image), time.monotonic(), self.taken)

    def _begin(self) -> Spent:
        self._inside.close = True  # until the whole is searched
        networks, opencv, collected = self._inside.networks, self._inside.opencv, collections()
        return Spent(self._inside.now(), networks, opencv, collected)

    @property
    def state(self) -> str:
        return "ok"

    @property
    def why(self) -> str:
        return ""


class TimedDoor(Daemon):
    """Notes what each frame cost up to the unlock's hand-over."""

    camera: InMemory

    def __init__(self, settings: DoorSettings, outfit: Outfit, inside: Inside) -> None:
        super().__init__(settings, None, outfit)
        self._inside = inside
        self.spent: list[Spent] = []
        self.failed = 0

    def _start_journal(self, started: ExitStack) -> None:
        super()._start_journal(started)
        open_ = self._opener.open

        def noted(hold_ms: int, good_until: float = float("inf")) -> Reason | None:
            failed = open_(hold_ms, good_until)
            begun, inside = self.camera.begun, self._inside
            # The network thread may have been quicker, by a clock of its own for its processor time.
            now = inside.sent if inside.sent > begun.whole else inside.now()
            parts = inside.networks - begun.networks, inside.opencv - begun.opencv
            self.spent.append(Spent(now - begun.whole, *parts, collections() - begun.collections, inside.close))
            self.failed += failed is not None
            return failed

        self._opener.open = noted  # type: ignore[method-assign]


def collections() -> int:
    """How often Python's garbage collection ran, the cheapest kind included."""
    return sum(generation["collections"] for generation in gc.get_stats())


def main(settings_path: Path, count: int, clock: str) -> int:
    pictures, inside = frames(), Inside(CLOCKS[clock])
    settings = load_settings(settings_path)
    door = TimedDoor(settings, replace(equip(settings), open_camera=lambda _: camera), inside)
    alone = Alone(pictures, inside)
    camera = door.camera = InMemory(pictures, WARM_UP + count, door, inside, alone)
    code = door.run()
    spent = door.spent[WARM_UP:]
    said = {
        "alone_ms": alone.medians(),
        "frames": len(spent),
        "not_opened": door.failed,
        "whole_ms": [round(frame.whole, 3) for frame in spent],
        "all_searched_ms": [round(frame.whole, 3) for frame in spent if not frame.close],
        "networks_ms": median(frame.networks for frame in spent),
        "opencv_ms": median(frame.opencv for frame in spent),
        "glue_ms": median(frame.glue for frame in spent),
        "collected": sum(frame.collections > 0 for frame in spent),
        "stages_ms": {stage: found.p50 for stage, found in door.times.spread().items()},
    }
    print(json.dumps(said))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
