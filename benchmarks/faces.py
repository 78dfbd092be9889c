"""The faces that every encoder is shown: one detector for all, each image once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from firmware_config.att import att_faces
from trainer.images.lfw import FOLDS, read_lfw
from trainer.images.shots import Shot, shoot


@dataclass(frozen=True)
class Pairs:
    """LFW's View 2, or a part: rows of the shots, int64[N, 2], in the order of its folds; same: bool[N]."""

    shots: list[Shot]
    rows: npt.NDArray[np.int64]
    same: npt.NDArray[np.bool_]


def lfw(folder: Path, pairs: int, cache_dir: Path | None = None) -> Pairs:
    """View 2. pairs: 6000 for all; fewer take as many of each fold's matched and mismatched pairs. Raises BadInput."""
    whole = read_lfw(folder)
    rows, same = whole.pairs, whole.same
    each = max(1, pairs // (2 * FOLDS))
    fold = np.arange(len(rows)) * FOLDS // len(rows)
    chosen = np.sort(
        np.concatenate(
            [np.flatnonzero((fold == k) & (same == kind))[:each] for k in range(FOLDS) for kind in (True, False)]
        )
    )
    used, numbered = np.unique(rows[chosen], return_inverse=True)
    return Pairs(shoot([whole.images[i] for i in used], cache_dir), numbered.reshape(-1, 2), same[chosen])


def att(cache_dir: Path | None = None) -> tuple[list[Shot], npt.NDArray[np.int64]]:
    """The 400 photos and who is on them. Raises LostLink."""
    people = att_faces(cache_dir)
    photos = [cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR) for row in people.values() for photo in row]
    return shoot(photos, cache_dir), np.repeat(np.arange(len(people)), [len(row) for row in people.values()])
