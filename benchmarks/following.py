"""python -m benchmarks.following --data DIR: what a face loses by being looked at by itself, and what that spares.

The people of the calibration and of the validation (trainer/configs/door.toml) never trained the encoder. Each picture
is put into a frame of 640x480 before patches of colour, in two bands of size, and is looked at twice: whole, and in
part, as if the face had been found a little aside in the frame before. Then templates are made by the one, as at
enrolment, and probes by the other.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.__main__ import ROOT
from benchmarks.machine import machine
from device.align import align
from device.detect import Detector, Face
from device.detector_file import detector_model
from device.embed import Encoder
from device.halves import Halves
from device.outfit import default_bundle
from device.view import Box, around, whole
from firmware_config.bundle import read_bundle
from firmware_config.face import FloatArray, ImageArray
from firmware_config.files import write_atomic
from trainer.config import load
from trainer.images.sources import load_faces
from trainer.measuring.metrics import across_distances, true_accept_rate

FRAME: Final = (640, 480)
BANDS: Final = {"usual": (90, 260), "near": (300, 520)}
"""Sides of the picture in the frame, pixels; a face takes some two thirds of it. At arm's length, and closer."""
MOVED: Final = 0.1
"""Of the face's longer side, at most, either way: since the frame before."""
FMRS: Final = (1e-2, 1e-3)


@dataclass(frozen=True)
class Result:
    """frames: with a face. lost: in which the part showed none. share: of the input's pixels that the part has. tar: at
    FMRS, of whole pictures against whole ones, of whole ones against parts, and of parts against parts. moved: how far
    an embedding went, median and 95th of a hundred, of 0 to 2. ms: a search of the whole, and of the part."""

    frames: int
    people: int
    lost: int
    share: float
    tar: dict[str, list[float]]
    moved: list[float]
    ms: dict[str, float]


def frame_with(picture: ImageArray, side: int, random: np.random.Generator) -> ImageArray:
    """uint8[480, 640, 3] with the picture somewhere in it; what is too high for it is cut off below."""
    width, height = FRAME
    patches = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    frame = np.asarray(cv2.resize(patches, FRAME, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
    shown = np.asarray(cv2.resize(picture, (side, side), interpolation=how), dtype=np.uint8)[:height]
    top, left = random.integers(0, max(height - side, 0) + 1), random.integers(0, width - side + 1)
    frame[top : top + len(shown), left : left + side] = shown
    return frame


def a_moment_ago(face: Face, random: np.random.Generator) -> Box:
    """Where it may have been in the frame before."""
    x, y, width, height = face.box
    aside, below = random.uniform(-MOVED, MOVED, 2) * max(width, height)
    return x + float(aside), y + float(below), width, height


def tar(templates: FloatArray, probes: FloatArray, people: NDArray[np.int64]) -> list[float]:
    """Share of the genuine comparisons that FMRS let in, by the thresholds of these impostors. A picture is not
    compared with itself."""
    distances = across_distances(templates, probes)
    same = people[:, None] == people
    genuine, impostors = distances[same & ~np.eye(len(people), dtype=bool)], distances[~same]
    return [round(true_accept_rate(genuine, impostors, fmr), 4) for fmr in FMRS]


def measured(pictures: ImageArray, people: NDArray[np.int64], sides: tuple[int, int]) -> Result:
    """pictures: uint8[N, 128, 128, 3] RGB."""
    detector = Detector(detector_model())
    encoder = Encoder(read_bundle(default_bundle().read_bytes(), None).onnx)
    random = np.random.default_rng(0)
    rows: dict[str, list[FloatArray]] = {"whole": [], "part": []}
    taken: dict[str, list[float]] = {"whole": [], "part": []}
    shown, shares, lost = [], [], 0
    for picture, person in zip(pictures, people, strict=True):
        frame = frame_with(picture[..., ::-1], int(random.uniform(*sides)), random)
        everything = whole(frame, detector.long_side)
        found = _timed(taken["whole"], lambda: detector.look_at(Halves(frame), everything))  # noqa: B023  # called here
        if not found:
            continue
        part = around(frame, detector.long_side, a_moment_ago(found[0], random))
        close = _timed(taken["part"], lambda: detector.look_at(Halves(frame), part))  # noqa: B023
        lost += not close
        crops = [align(frame, face.landmarks) for face in (found[0], (close or found)[0])]
        for kept, row in zip(rows.values(), encoder.embed(np.stack(crops)), strict=True):
            kept.append(row)
        shares.append(part.area / everything.area)
        shown.append(person)
    wholes, parts, owners = np.stack(rows["whole"]), np.stack(rows["part"]), np.array(shown)
    moved = np.linalg.norm(wholes - parts, axis=1)
    return Result(
        frames=len(owners),
        people=len(np.unique(owners)),
        lost=lost,
        share=round(float(np.mean(shares)), 3),
        tar={
            "whole against whole": tar(wholes, wholes, owners),
            "whole against part": tar(wholes, parts, owners),
            "part against part": tar(parts, parts, owners),
        },
        moved=[round(float(np.quantile(moved, share)), 3) for share in (0.5, 0.95)],
        ms={name: round(median(times), 3) for name, times in taken.items()},
    )


def _timed(taken: list[float], run: Callable[[], list[Face]]) -> list[Face]:
    begun = time.perf_counter()
    found = run()
    taken.append((time.perf_counter() - begun) * 1000)
    return found


def main() -> int:
    """Prints and writes the results -> 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.following", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the shards of named faces")
    parser.add_argument("--pictures", type=int, help="the first so many (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/following.json")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    faces, split = load_faces(load(ROOT / "trainer/configs/door.toml"), args.data)
    held_out = faces.take(np.concatenate([split.calibration, split.validation]))
    pictures, people = held_out.pixels[: args.pictures], held_out.identities[: args.pictures]
    found = {band: asdict(measured(pictures, people, sides)) for band, sides in BANDS.items()}
    result = {"machine": machine(), "bands": found}
    write_atomic(args.out, (json.dumps(result, indent=1) + "\n").encode(), 0o644)
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
