"""Batches for the training loop, made while the network works on the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from trainer import data, sampling
from trainer.augment import Augmentation, augment, normalise
from trainer.config import Config, Stage

Item = TypeVar("Item")


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


def prepared(
    config: Config, stage: Stage, faces: data.Faces, rows: Iterable[data.IntArray], step: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """rows: an epoch's batches, the first of which is for step + 1 -> images and identities, int64[N].

    Images are float32[N, 1, 100, 100], 0 to 1, for the tutorial's network; for the door's they are augmented,
    float32[N, 3, S, S], about -1 to 1.
    """
    pixels, identities = torch.from_numpy(faces.pixels), torch.from_numpy(faces.identities)
    for number, chosen in enumerate(rows, start=step + 1):
        at = torch.from_numpy(chosen)
        if config.network.for_door:
            random = torch.Generator().manual_seed(step_seed(config, number))
            images = augment(pixels[at], stage.pixels, Augmentation(), random)
            images = images.contiguous(memory_format=torch.channels_last)
        else:
            images = as_input(config, pixels[at])
        yield images, identities[at]


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in another thread while the one before is in use (torch frees the lock)."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item
