"""python -m benchmarks.board.in_memory door.toml FRAMES: the door's own process, with frames that lie in memory.

Everything but the camera is `latchkey-device run`. Says as JSON how long each frame took from memory to the unlock's
hand-over to the broker's socket, and how much of it was in onnxruntime and OpenCV; and, alternating, the two networks
alone on the same pictures.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as latchkey-device does

import cv2
import numpy as np

from benchmarks.board.faces import frames
from device.align import align
from device.camera import Camera, Frame
from device.daemon import Daemon
from device.detect import Detector, detector_model
from device.embed import Encoder
from device.model import Active
from device.outfit import Look, Outfit, default_bundle, load_settings
from device.runtime import network_runs
from device.sight import Seen, look
from device.stages import StageRing, Stopwatch
from firmware_config.bundle import read_bundle
from firmware_config.face import ImageArray
from firmware_config.settings import CameraSettings, RuntimeSettings

WARM_UP: Final = 20
OF_OPENCV: Final = ("resize", "warpAffine", "cvtColor", "Laplacian", "blur", "mean")


class InOpenCv:
    """Seconds that this process was in OpenCV's functions."""

    def __init__(self) -> None:
        self.s = 0.0
        for name in OF_OPENCV:
            setattr(cv2, name, self._timed(getattr(cv2, name)))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.s += time.perf_counter() - begin

        return run


class InMemory(Camera):
    """Hands out pictures as soon as the lock can open again."""

    def __init__(self, pictures: list[ImageArray], count: int, daemon: Callable[[], Daemon]) -> None:
        self._pictures, self._left, self._daemon = pictures, count, daemon
        self.taken = 0
        self._stop = threading.Event()

    def __enter__(self) -> InMemory:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def newest(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 - pictures in memory need no waiting
        """None while the lock's next challenge is on its way."""
        daemon = self._daemon()
        if self.taken == self._left:
            daemon.stop.set()
            return None
        if not daemon.lock_ready:
            time.sleep(0.001)
            return None
        image = self._pictures[self.taken % len(self._pictures)]
        self.taken += 1
        return Frame(image, time.monotonic(), self.taken)

    @property
    def state(self) -> str:
        return "ok"

    @property
    def why(self) -> str:
        return ""


def networks_alone(pictures: list[ImageArray], runs: int) -> dict[str, float]:
    """Median milliseconds of the detector's and the encoder's session, by turns."""
    detector, encoder = Detector(detector_model()), Encoder(read_bundle(default_bundle().read_bytes(), None).onnx)
    taken: dict[str, list[float]] = {"detector": [], "encoder": []}
    for turn in range(WARM_UP + runs):
        picture = pictures[turn % len(pictures)]
        network_runs().clear()
        face = detector.detect(picture)[0]
        encoder.embed(align(picture, face.landmarks)[np.newaxis])
        if turn >= WARM_UP:
            for name, (begin, end) in zip(taken, network_runs(), strict=True):
                taken[name].append((end - begin) * 1000)
    return {name: median(values) for name, values in taken.items()}


def main(settings_path: Path, count: int) -> int:
    pictures = frames()
    alone = networks_alone(pictures, max(50, count // 20))
    in_opencv = InOpenCv()
    around: list[dict[str, float]] = []

    def make_look(runtime: RuntimeSettings) -> Look:
        detector = Detector(detector_model(), runtime.threads, runtime.detect_size)
        cv2.setNumThreads(runtime.threads)

        def timed(frame: Frame, active: Active) -> Seen:
            before, watch = in_opencv.s, Stopwatch()
            seen = look(frame, detector, active, watch)
            networks = sum(span.end - span.begin for span in watch.networks())
            around.append({"networks": networks * 1000, "opencv": (in_opencv.s - before) * 1000})
            return seen

        return timed

    def open_camera(_: CameraSettings) -> Camera:
        return camera

    ring = StageRing(WARM_UP + count)
    daemon = Daemon(load_settings(settings_path), None, Outfit(open_camera=open_camera, make_look=make_look), ring)
    camera = InMemory(pictures, WARM_UP + count, lambda: daemon)
    code = daemon.run()
    frame, unlock = (ring.row(stage)[WARM_UP:] for stage in ("frame", "unlock"))
    whole = frame + unlock
    parts = around[WARM_UP : WARM_UP + len(whole)]
    opened = ~np.isnan(whole)
    glue = [
        float(total) - part["networks"] - part["opencv"]
        for total, part, good in zip(whole, parts, opened, strict=True)
        if good
    ]
    said = {
        "alone_ms": alone,
        "frames": int(opened.sum()),
        "not_opened": int((~opened).sum()),
        "whole_ms": [round(float(value), 3) for value in whole[opened]],
        "networks_ms": median(part["networks"] for part in parts),
        "opencv_ms": median(part["opencv"] for part in parts),
        "glue_ms": median(glue),
        "stages_ms": {stage: found.p50 for stage, found in ring.spread().items()},
    }
    print(json.dumps(said))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
