"""Batches for the training loop, made while the network works on the ones before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from firmware_config.face import ImageArray
from trainer import data
from trainer.config import Config
from trainer.encoders import normalise
from trainer.images.looks import look, plain
from trainer.images.style import CameraStyle
from trainer.loop import sampling
from trainer.loop.world import ALONE, World
from trainer.parts import Stage

Item = TypeVar("Item")
Made = TypeVar("Made")


def batches(stage: Stage, identities: data.IntArray, seed: int, epoch: int) -> Iterator[data.IntArray]:
    """An epoch's batches of rows: about as many images as there are."""
    count = stage.batches or max(1, len(identities) // stage.batch)
    if stage.sampler == "pairs":
        return sampling.pairs(identities, stage.batch, count, seed, epoch)
    if stage.sampler == "people":
        people = stage.batch // stage.images_each
        return sampling.people_times_images(identities, people, stage.images_each, stage.singles, count, seed, epoch)
    return sampling.shuffled(identities, stage.batch, seed, epoch)


def step_seed(config: Config, step: int) -> int:
    """Chance depends on the step alone, so that a resumed run meets the same."""
    return config.seed * 1_000_003 + step


def as_input(config: Config, crops: Tensor) -> Tensor:
    """What the network sees of crops: uint8[N, S, S, C] -> float32[N, C, S, S], 0 to 1; a door's about -1 to 1."""
    if config.network.for_door:
        return normalise(crops).contiguous(memory_format=torch.channels_last)
    return crops.permute(0, 3, 1, 2).float() / 255.0


@dataclass(frozen=True)
class Kitchen:
    """Makes this process's share of a batch. Chance depends on seed, step and place in the whole batch, so an image
    comes out the same however many processes and threads there are."""

    config: Config
    stage: Stage
    faces: data.Faces
    style: CameraStyle | None = None
    world: World = ALONE

    def __call__(self, step: int, rows: data.IntArray) -> tuple[Tensor, Tensor]:
        """rows: int64[N] of the whole batch -> images float32[N / processes, C, S, S], identities int64[N] of all."""
        places = self.world.share(np.arange(len(rows)), self.stage.sampler == "pairs")
        crops = np.stack([self.crop(step, int(place), int(rows[place])) for place in places])
        images = as_input(self.config, torch.from_numpy(crops).to(self.world.device))
        return images, torch.from_numpy(self.faces.identities[rows]).to(self.world.device)

    def crop(self, step: int, place: int, row: int) -> ImageArray:
        """One image, changed as the configuration says: uint8[S, S, C]."""
        crop, how, pixels = self.faces.pixels[row], self.config.look, self.stage.pixels
        random = np.random.default_rng([self.config.seed, step, place])
        if self.style is not None:
            crop = self.style.on(crop, random)
        border = data.BORDER if self.config.network.for_door else 0
        return plain(crop, pixels, border) if how is None else look(crop, pixels, how, random, border)


def prepared(kitchen: Kitchen, rows: Iterable[data.IntArray], step: int) -> Iterator[tuple[Tensor, Tensor]]:
    """rows: an epoch's batches, the first of which is for step + 1 -> images and identities, as Kitchen makes them."""
    cv2.setNumThreads(1)  # several images at a time are quicker than several threads an image
    jobs = enumerate(rows, start=step + 1)
    return ahead_of(jobs, lambda job: kitchen(*job), kitchen.config.loaders)


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in another thread while the one before is in use (torch frees the lock)."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


def ahead_of(items: Iterable[Item], make: Callable[[Item], Made], threads: int) -> Iterator[Made]:
    """What `make` makes of each item, in order, made by so many threads while the ones before are in use."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        coming: deque[Future[Made]] = deque()
        try:
            for item in items:
                coming.append(pool.submit(make, item))
                if len(coming) > threads:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for each in coming:
                each.cancel()
