"""What a batch of lessons is, whoever gives it: kept ones (kept.py) or live ones (live.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from scipy.linalg import orthogonal_procrustes
from torch import Tensor

from firmware_config.errors import BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray, ImageArray
from trainer.data import IntArray
from trainer.teaching.teachers import Teacher

LEAST_BLEND: Final = 0.2
MOST_BLEND: Final = 0.5
"""How much of the other face is in a blend. Zhang et al. 2018; Beyer et al. 2022 teach with blends, which hold a
teacher to account where there are no photographs."""

TURN_CROPS: Final = 4096
"""Crops that a turn is found by: 32 for each of the 128 numbers."""


@dataclass(frozen=True)
class Lesson:
    """A batch. images: float32[N, 3, 112, 112] as the student sees them, about -1 to 1; targets: float32[N, 128], unit
    rows. blend: int64[N] rows and float32[N] shares, 0 to 1, of what is blended in; None for nothing."""

    images: Tensor
    targets: FloatArray
    blend: tuple[IntArray, FloatArray] | None = None


class Lessons(Protocol):
    """Where the student's batches come from."""

    turns: tuple[int, ...]
    """The looks that make an epoch; a look may have several turns."""
    count: int
    """Crops that there are lessons on."""

    def read(self, look: int, rows: IntArray, random: np.random.Generator) -> Lesson:
        """The lesson on these crops."""
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


def ask(teachers: list[Teacher], crops: ImageArray, threads: int = 1) -> FloatArray:
    """All teachers of the same crops: uint8[N, 112, 112, 3] -> float32[N, D], unit rows side by side.

    threads: parts of the crops asked about at a time, as one thread alone makes the teachers wait for their pixels.
    """
    parts = [part for part in np.array_split(crops, threads) if len(part)]
    with ThreadPoolExecutor(threads) as pool:
        said = pool.map(lambda part: np.concatenate([teacher.say(part) for teacher in teachers], axis=1), parts)
        return np.concatenate(list(said))


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


class TurnedLessons:
    """Other lessons, their targets turned as a whole to lie where something else puts the same faces.

    Turning changes no distance among them. Orthogonal Procrustes (Schoenemann 1966).
    """

    def __init__(self, lessons: Lessons, towards: Callable[[IntArray], FloatArray]) -> None:
        """towards: int64[K] rows -> float32[K, 128]."""
        self._lessons = lessons
        self.turns, self.count = lessons.turns, lessons.count
        rows, targets = lessons.sample()
        every = max(1, len(rows) // TURN_CROPS)
        rows, targets = rows[::every], targets[::every]
        self.rotation: FloatArray = orthogonal_procrustes(targets, towards(rows))[0].astype(np.float32)
        """float32[128, 128]."""

    def read(self, look: int, rows: IntArray, random: np.random.Generator) -> Lesson:
        """The lesson on these crops, turned."""
        lesson = self._lessons.read(look, rows, random)
        return replace(lesson, targets=lesson.targets @ self.rotation)

    def sample(self) -> tuple[IntArray, FloatArray]:
        """Of the other lessons, turned."""
        rows, targets = self._lessons.sample()
        return rows, targets @ self.rotation
