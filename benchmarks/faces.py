"""The faces that every encoder is shown: one detector for all, each image once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from device.detect import Detector, Face, detector_model
from firmware_config.att import att_faces
from firmware_config.face import CROP_SIZE, TEMPLATE, ImageArray
from trainer.evaluate import FOLDS, MARGIN_SHARE, read_lfw

FALLBACK_SCALE: Final = 0.75
"""Where no face is found: the template over three quarters of the image, as trainer.evaluate does."""


@dataclass(frozen=True)
class Shot:
    """image: uint8[H, W, 3] BGR with a border; face: where in it. found: by the detector, not guessed."""

    image: ImageArray
    face: Face
    found: bool


@dataclass(frozen=True)
class Pairs:
    """LFW's View 2, or a part: rows of the shots, int64[N, 2], in the order of its folds; same: bool[N]."""

    shots: list[Shot]
    rows: npt.NDArray[np.int64]
    same: npt.NDArray[np.bool_]


def shoot(images: list[ImageArray], cache_dir: Path | None = None) -> list[Shot]:
    """The most central face of each. images: uint8[H, W, 3] BGR, cut as close as LFW and AT&T are."""
    detector = Detector(detector_model(cache_dir))
    shots: list[Shot] = []
    for image in images:
        border = round(max(image.shape[:2]) * MARGIN_SHARE)
        framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
        middle = np.array([framed.shape[1], framed.shape[0]], dtype=np.float32) / 2.0
        found = detector.detect(framed)
        if found:
            face = min(found, key=lambda each: float(np.linalg.norm(each.landmarks.mean(axis=0) - middle)))
        else:
            scale = min(image.shape[:2]) / CROP_SIZE * FALLBACK_SCALE
            points = ((TEMPLATE - TEMPLATE.mean(axis=0)) * scale + middle).astype(np.float32)
            low, high = points.min(axis=0) - 20 * scale, points.max(axis=0) + 20 * scale
            face = Face((float(low[0]), float(low[1]), *(float(side) for side in high - low)), points, 0.0)
        shots.append(Shot(framed, face, bool(found)))
    return shots


def lfw(folder: Path, pairs: int, cache_dir: Path | None = None) -> Pairs:
    """View 2. pairs: 6000 for all; fewer take as many of each fold's matched and mismatched pairs. Raises BadInput."""
    images, rows, same = read_lfw(folder)
    rows, same = rows[:6000], same[:6000]
    each = max(1, pairs // (2 * FOLDS))
    fold = np.arange(len(rows)) * FOLDS // len(rows)
    chosen = np.sort(
        np.concatenate(
            [np.flatnonzero((fold == k) & (same == kind))[:each] for k in range(FOLDS) for kind in (True, False)]
        )
    )
    used, numbered = np.unique(rows[chosen], return_inverse=True)
    return Pairs(shoot([images[i] for i in used], cache_dir), numbered.reshape(-1, 2), same[chosen])


def att(cache_dir: Path | None = None) -> tuple[list[Shot], npt.NDArray[np.int64]]:
    """The 400 photos and who is on them. Raises LostLink."""
    people = att_faces(cache_dir)
    photos = [cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR) for row in people.values() for photo in row]
    return shoot(photos, cache_dir), np.repeat(np.arange(len(people)), [len(row) for row in people.values()])
