"""What a batch of lessons is, whoever gives it: kept ones (kept.py), or live ones, asked for every batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from firmware_config.errors import BadState
from firmware_config.face import CROP_SIZE, EMBEDDING_SIZE, FloatArray, ImageArray
from trainer.data import Faces, IntArray
from trainer.images.augment import Augmentation, move, normalise, pixels_of
from trainer.teaching.teachers import Teacher

AIM_CROPS: Final = 2048
"""Crops that live lessons fit their aim on: sixteen for each of the 128 numbers."""

MOVED: Final = Augmentation(turn_degrees=6.0, zoom=0.06, shift_pixels=3.0)
"""How far the student's crop is from where the landmarks put it: a little more than YuNet's are off by."""


@dataclass(frozen=True)
class Lesson:
    """A batch. images: float32[N, 3, 112, 112], about -1 to 1, moved by chance; targets: float32[N, 128], unit rows."""

    images: Tensor
    targets: Tensor


class Lessons(Protocol):
    """Where the student's batches come from."""

    turns: tuple[int, ...]
    """The looks that make an epoch; a look may have several turns."""
    count: int
    """Crops that there are lessons on."""

    def read(self, look: int, rows: IntArray, random: torch.Generator) -> Lesson:
        """The lesson on these crops."""
        ...

    def mixed(self, look: int, rows: IntArray) -> tuple[IntArray, FloatArray] | None:
        """What is blended into these crops in this look: int64[N] rows, and float32[N] shares of 0 to 1; None for
        nothing."""
        ...

    def sample(self) -> tuple[IntArray, FloatArray]:
        """Some crops, int64[K] rows, and their targets unblended: float32[K, 128]."""
        ...


@dataclass(frozen=True)
class Aim:
    """The teachers' rows, weighted and side by side, as one unit row of 128. mean: float32[D]; matrix: [D, 128]."""

    mean: FloatArray
    matrix: FloatArray

    def __call__(self, rows: FloatArray) -> FloatArray:
        """float32[N, D] -> float32[N, 128], unit rows."""
        aimed = (rows - self.mean) @ self.matrix
        unit: FloatArray = (aimed / np.linalg.norm(aimed, axis=1, keepdims=True)).astype(np.float32)
        return unit


def fit_aim(rows: FloatArray, whiten: float = 0.0) -> Aim:
    """The 128 largest principal components of float32[M, D], D >= 128: distances stay nearly what they were.
    whiten: 0 to 1, how far their spreads are evened out. One teacher of 128 numbers is repeated as it is.

    Raises BadState when the teachers do not give 128 independent numbers. Pearson 1901.
    """
    if rows.shape[1] == EMBEDDING_SIZE and not whiten:
        return Aim(np.zeros(EMBEDDING_SIZE, np.float32), np.eye(EMBEDDING_SIZE, dtype=np.float32))
    if min(rows.shape) < EMBEDDING_SIZE:
        raise BadState(f"Teachers that say {rows.shape[1]} numbers of {len(rows)} crops give no {EMBEDDING_SIZE}.")
    mean = rows.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((rows - mean).T.astype(np.float64)))
    kept, spread = vectors[:, -EMBEDDING_SIZE:], np.sqrt(np.maximum(values[-EMBEDDING_SIZE:], 1e-12))
    return Aim(mean.astype(np.float32), (kept / spread**whiten).astype(np.float32))


def ask(teachers: list[Teacher], crops: ImageArray) -> FloatArray:
    """All teachers of the same crops: uint8[N, 112, 112, 3] -> float32[N, D], unit rows side by side."""
    return np.concatenate([teacher.say(crops) for teacher in teachers], axis=1)


def together(said: list[FloatArray], teachers: list[tuple[int, float]]) -> FloatArray:
    """What several looks at one face have in common: the mean of each teacher's rows, unit length again and weighted.

    said: float32[N, D] each; teachers: numbers of each row and its weight -> float32[N, D].
    """
    rows = sum(said[1:], start=said[0])
    parts, begin = [], 0
    for numbers, weight in teachers:
        part = rows[:, begin : begin + numbers]
        parts.append(part / np.linalg.norm(part, axis=1, keepdims=True) * weight)
        begin += numbers
    return np.concatenate(parts, axis=1)


def order(
    count: int, turns: tuple[int, ...], batch: int, worker: int, workers: int, seed: int
) -> Iterator[tuple[int, IntArray]]:
    """Endless batches of one look: (look, int64[batch] rows). Each worker has a share of the rows, every row once an
    epoch in every turn."""
    mine = np.arange(worker, count, workers)
    size = min(batch, len(mine))
    epoch = 0
    while True:
        random = np.random.default_rng([seed, worker, epoch])
        cut = [
            (look, rows)
            for look in turns
            for rows in np.split(random.permutation(mine), range(size, len(mine), size))
            if len(rows) == size
        ]
        for i in random.permutation(len(cut)):
            yield cut[i]
        epoch += 1


class LiveLessons:
    """The teachers look at the very crops that the student is shown, moved anew each time."""

    turns: tuple[int, ...] = (0,)

    def __init__(self, teachers: list[Teacher], faces: Faces, seed: int, whiten: float) -> None:
        self._teachers, self._faces, self.count = teachers, faces, len(faces)
        self._asking = threading.Lock()  # workers take turns: the teachers use all processors
        self._some: IntArray = np.sort(np.random.default_rng(seed).permutation(len(faces))[:AIM_CROPS])
        said = self._ask(np.ascontiguousarray(faces.centre()[self._some]))
        self._aim = fit_aim(said, whiten)
        self._some_targets = self._aim(said)

    def read(self, look: int, rows: IntArray, random: torch.Generator) -> Lesson:
        """The lesson on these crops, moved by chance."""
        del look  # there is one, and it is never the same
        crops = pixels_of(move(torch.from_numpy(self._faces.pixels[rows]), CROP_SIZE, Augmentation(), random))
        with self._asking:
            said = self._ask(crops.numpy())
        return Lesson(normalise(crops), torch.from_numpy(self._aim(said)))

    def mixed(self, look: int, rows: IntArray) -> None:
        """Nothing is blended."""

    def sample(self) -> tuple[IntArray, FloatArray]:
        """Those that the aim was fitted on."""
        return self._some, self._some_targets

    def _ask(self, crops: ImageArray) -> FloatArray:
        rows = ask(self._teachers, crops)
        numbers = [teacher.numbers for teacher in self._teachers]
        return together([rows], [(n, teacher.file.weight) for n, teacher in zip(numbers, self._teachers, strict=True)])
