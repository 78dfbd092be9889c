"""Which rows make a batch. Each is a function of (seed, epoch), so that a resumed run goes on exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from firmware_config.errors import BadInput
from trainer.data import IntArray


def shuffled(identities: IntArray, batch: int, seed: int, epoch: int) -> Iterator[IntArray]:
    """Every row once, int64[batch] at a time; the short rest is left out. Raises BadInput when none is full."""
    if len(identities) < batch:
        raise BadInput(f"A batch of {batch} needs as many images; there are {len(identities)}.")
    order = np.random.default_rng([seed, epoch]).permutation(len(identities))
    for start in range(0, len(order) - batch + 1, batch):
        yield order[start : start + batch]


def people_times_images(
    identities: IntArray, people: int, images: int, singles: int, batches: int, seed: int, epoch: int
) -> Iterator[IntArray]:
    """P people with K images each, for batch-hard mining: int64[P * K + 2 * singles].

    People are drawn by the square root of how many images they have: each has a chance, many images count.
    One with fewer than K images gives some twice (augmentation tells the copies apart). `singles` people with
    one image join, each image twice. Raises BadInput. Hermans, Beyer, Leibe 2017.
    """
    random = np.random.default_rng([seed, epoch])
    counts = np.bincount(identities)
    order = np.argsort(identities, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    several, single = np.flatnonzero(counts >= 2), np.flatnonzero(counts == 1)
    if len(several) < people or len(single) < singles:
        raise BadInput(
            f"A batch of {people} people with several images and {singles} with one needs as many; "
            f"there are {len(several)} and {len(single)}."
        )
    weights = np.sqrt(counts[several])
    weights /= weights.sum()
    for _ in range(batches):
        rows: list[int] = []
        for person in random.choice(several, people, replace=False, p=weights):
            own = order[starts[person] : starts[person + 1]]
            rows.extend(random.choice(own, images, replace=len(own) < images))
        if singles:
            own = order[starts[random.choice(single, singles, replace=False)]]
            rows.extend(np.repeat(own, 2))
        yield np.array(rows, dtype=np.int64)


def pairs(identities: IntArray, batch: int, batches: int, seed: int, epoch: int) -> Iterator[IntArray]:
    """Siamese pairs: row i and row batch + i belong together, int64[2 * batch]. Half of the pairs are the same
    person (of two different images), half are not, drawn evenly as the articles do. Raises BadInput."""
    random = np.random.default_rng([seed, epoch])
    by_person = [np.flatnonzero(identities == person) for person in np.unique(identities)]
    several = [rows for rows in by_person if len(rows) >= 2]
    if len(by_person) < 2 or not several:
        raise BadInput("Pairs need two people, and one with two images.")
    for _ in range(batches):
        first, second = np.empty(batch, dtype=np.int64), np.empty(batch, dtype=np.int64)
        for i, same in enumerate(random.permutation(batch) < batch // 2):
            if same:
                own = several[random.integers(len(several))]
                first[i], second[i] = random.choice(own, 2, replace=False)
            else:
                a, b = random.choice(len(by_person), 2, replace=False)
                first[i], second[i] = random.choice(by_person[a]), random.choice(by_person[b])
        yield np.concatenate([first, second])
