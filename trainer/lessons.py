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
from trainer.augment import Augmentation, move, pixels_of
from trainer.data import Faces, IntArray
from trainer.teachers import Said, Teacher

AIM_CROPS: Final = 2048
"""Crops that live lessons fit their aim and their maps' channels on: sixteen for each of the 128 numbers."""


@dataclass(frozen=True)
class Lesson:
    """A batch. crops: uint8[N, 112, 112, 3]; targets: float32[N, 128], unit rows; maps: float32[N, C, S, S], each
    channel of mean 0 and deviation 1."""

    crops: Tensor
    targets: Tensor
    maps: list[Tensor]

    def to(self, device: torch.device) -> Lesson:
        """The same where the student is."""
        return Lesson(self.crops.to(device), self.targets.to(device), [values.to(device) for values in self.maps])


class Lessons(Protocol):
    """Where the student's batches come from."""

    views: int
    count: int
    """Crops that there are lessons on."""

    def read(self, view: int, rows: IntArray, random: torch.Generator) -> Lesson:
        """The lesson on these crops. view: 0 to views - 1."""
        ...

    def map_channels(self) -> list[int]:
        """Channels of each of the teacher's maps, none when there are no maps."""
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


def fit_aim(rows: FloatArray) -> Aim:
    """Whitened principal components of float32[M, D], D >= 128. One teacher of 128 numbers is repeated as it is.

    Raises BadState when the teachers do not give 128 independent numbers.
    """
    if rows.shape[1] == EMBEDDING_SIZE:
        return Aim(np.zeros(EMBEDDING_SIZE, np.float32), np.eye(EMBEDDING_SIZE, dtype=np.float32))
    if min(rows.shape) < EMBEDDING_SIZE:
        raise BadState(f"Teachers that say {rows.shape[1]} numbers of {len(rows)} crops give no {EMBEDDING_SIZE}.")
    mean = rows.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((rows - mean).T.astype(np.float64)))
    kept, spread = vectors[:, -EMBEDDING_SIZE:], np.sqrt(np.maximum(values[-EMBEDDING_SIZE:], 1e-12))
    return Aim(mean.astype(np.float32), (kept / spread).astype(np.float32))


def ask(teachers: list[Teacher], crops: ImageArray) -> Said:
    """All teachers of the same crops: weighted unit rows side by side, and the maps of the one that has some."""
    said = [teacher.say(crops) for teacher in teachers]
    rows = np.concatenate([s.embeddings * t.file.weight for s, t in zip(said, teachers, strict=True)], axis=1)
    return Said(rows, next((s.maps for s in said if s.maps), ()))


def order(count: int, views: int, batch: int, worker: int, workers: int, seed: int) -> Iterator[tuple[int, IntArray]]:
    """Endless batches of one view: (view, int64[batch] rows). Each worker has a share of the rows, every row once an
    epoch in every view."""
    mine = np.arange(worker, count, workers)
    size = min(batch, len(mine))
    epoch = 0
    while True:
        random = np.random.default_rng([seed, worker, epoch])
        cut = [
            (view, rows)
            for view in range(views)
            for rows in np.split(random.permutation(mine), range(size, len(mine), size))
        ]
        for i in random.permutation(len(cut)):
            if len(cut[i][1]) == size:
                yield cut[i]
        epoch += 1


@dataclass(frozen=True)
class Channels:
    """Mean and deviation of a map's channels over some crops, float32[C, 1, 1] each."""

    mean: FloatArray
    deviation: FloatArray

    def __call__(self, values: FloatArray) -> FloatArray:
        """float32[N, C, S, S] -> the same with each channel of about mean 0 and deviation 1."""
        even: FloatArray = (values - self.mean) / self.deviation
        return even


def fit_channels(values: FloatArray) -> Channels:
    """values: float32[N, C, S, S]."""
    axes = (0, 2, 3)
    return Channels(values.mean(axis=axes)[:, None, None], values.std(axis=axes)[:, None, None] + np.float32(1e-6))


class LiveLessons:
    """The teachers look at the very crops that the student is shown, moved anew each time."""

    views = 1

    def __init__(self, teachers: list[Teacher], faces: Faces, seed: int) -> None:
        self._teachers, self._faces, self.count = teachers, faces, len(faces)
        self._asking = threading.Lock()  # workers take turns: a teacher on a GPU is one device
        some = np.random.default_rng(seed).permutation(len(faces))[:AIM_CROPS]
        said = ask(teachers, np.ascontiguousarray(faces.centre()[np.sort(some)]))
        self._aim, self._channels = fit_aim(said.embeddings), [fit_channels(values) for values in said.maps]

    def read(self, view: int, rows: IntArray, random: torch.Generator) -> Lesson:
        """The lesson on these crops, moved by chance."""
        del view  # there is one, and it is never the same
        crops = pixels_of(move(torch.from_numpy(self._faces.pixels[rows]), CROP_SIZE, Augmentation(), random))
        with self._asking:
            said = ask(self._teachers, crops.numpy())
        maps = [torch.from_numpy(even(values)) for even, values in zip(self._channels, said.maps, strict=True)]
        return Lesson(crops, torch.from_numpy(self._aim(said.embeddings)), maps)

    def map_channels(self) -> list[int]:
        """Channels of each of the teacher's maps."""
        return [len(channels.mean) for channels in self._channels]
