"""python -m benchmarks.board.peers RUNS: the same frames by what people would use instead, one thread, as JSON.

From a frame in memory to the nearest of a thousand; nothing is sent to anybody.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import cv2
import numpy as np

from benchmarks.board.faces import frames
from benchmarks.board.site import PEOPLE
from benchmarks.peers import DLIB_MODELS
from firmware_config.assets import fetch
from firmware_config.face import ImageArray

WARM_UP: Final = 3
OWN_LIMIT_S: Final = 120.0
"""HOG takes a second a frame on a slow board: fewer runs are made then."""


def opencv() -> Callable[[ImageArray], float]:
    """FaceDetectorYN at the frame's size, as OpenCV's sample has it, and FaceRecognizerSF."""
    detector = cv2.FaceDetectorYN.create(str(fetch("yunet")), "", (640, 480))
    recognizer = cv2.FaceRecognizerSF.create(str(fetch("sface")), "")
    gallery = _gallery(128)

    def look(image: ImageArray) -> float:
        _, faces = detector.detect(image)
        feature = np.asarray(recognizer.feature(recognizer.alignCrop(image, faces[0])))[0]
        return float((gallery @ (feature / np.linalg.norm(feature))).max())

    return look


def face_recognition() -> Callable[[ImageArray], float]:
    """What face_recognition's face_encodings and face_distance do: HOG upsampled once, five landmarks, ResNet."""
    import dlib  # noqa: PLC0415  # only where the bench's extra is installed

    with tempfile.TemporaryDirectory() as folder, tarfile.open(fetch("face-recognition-models")) as archive:
        found = []
        for name in ("shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat"):
            stream = archive.extractfile(f"{DLIB_MODELS}/{name}")
            assert stream is not None  # a file of an archive whose sha256 is right
            path = Path(folder) / name
            path.write_bytes(stream.read())
            found.append(str(path))
        predictor, network = dlib.shape_predictor(found[0]), dlib.face_recognition_model_v1(found[1])
    hog, gallery = dlib.get_frontal_face_detector(), _gallery(128).astype(np.float64)

    def look(image: ImageArray) -> float:
        rgb = np.ascontiguousarray(image[:, :, ::-1])
        box = hog(rgb, 1)[0]
        descriptor = np.array(network.compute_face_descriptor(rgb, predictor(rgb, box), 1))
        return float(np.linalg.norm(gallery - descriptor, axis=1).min())

    return look


def _gallery(size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    rows = np.random.default_rng(1).standard_normal((PEOPLE, size)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measure(look: Callable[[ImageArray], float], pictures: list[ImageArray], runs: int) -> dict[str, float]:
    """Median milliseconds, and over how many frames."""
    taken: list[float] = []
    ends = time.monotonic() + OWN_LIMIT_S
    for turn in range(WARM_UP + runs):
        begun = time.perf_counter()
        look(pictures[turn % len(pictures)])
        if turn >= WARM_UP:
            taken.append((time.perf_counter() - begun) * 1000)
        if taken and time.monotonic() > ends:
            break
    return {"ms": median(taken), "frames": len(taken)}


def main(runs: int) -> int:
    cv2.setNumThreads(1)
    pictures = frames()
    said: dict[str, Any] = {}
    for name, load in (("opencv", opencv), ("face_recognition", face_recognition)):
        try:
            said[name] = measure(load(), pictures, runs)
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
