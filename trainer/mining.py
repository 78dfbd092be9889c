"""Which pairs and triplets of a batch teach. Rows that point into the batch, chosen without a gradient.

The triplets are pytorch-metric-learning's kind of tuple too, so they may feed its losses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor


class Triplets(NamedTuple):
    """int64[T] each: rows of the batch."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


class Pairs(NamedTuple):
    """first, second: int64[T], rows of the batch; different: bool[T], whether they are two people."""

    first: Tensor
    second: Tensor
    different: Tensor


def pair_distances(embeddings: Tensor) -> Tensor:
    """float32[N, D] -> float32[N, N], Euclidean. For choosing: about 3e-4 off where two rows are nearly one."""
    squares = embeddings.square().sum(dim=1)
    squared = squares[:, None] + squares[None, :] - 2.0 * embeddings @ embeddings.T
    return squared.clamp(min=0.0).sqrt()


def random_triplets(distances: Tensor, identities: Tensor, margin: float, random: torch.Generator) -> Triplets:
    """For each anchor one positive and one negative by chance: as many triplets as batch-hard has."""
    del margin
    positive, negative, usable = _sides(identities)
    chance = torch.rand(distances.shape, generator=random).to(distances.device)
    other = torch.rand(distances.shape, generator=random).to(distances.device)
    return Triplets(
        usable,
        chance.masked_fill(~positive, -1.0).argmax(dim=1)[usable],
        other.masked_fill(~negative, -1.0).argmax(dim=1)[usable],
    )


def semi_hard(distances: Tensor, identities: Tensor, margin: float, random: torch.Generator) -> Triplets:
    """For each anchor and positive the nearest negative that is farther than the positive, by less than `margin`.

    A pair without such a negative gives none. Schroff, Kalenichenko, Philbin 2015.
    """
    del random
    positive, negative, _ = _sides(identities)
    anchors, positives = positive.nonzero(as_tuple=True)
    reach = distances[anchors, positives][:, None]
    to_negative = distances[anchors]
    fits = negative[anchors] & (to_negative > reach) & (to_negative < reach + margin)
    negatives = to_negative.masked_fill(~fits, torch.inf).argmin(dim=1)
    found = fits.any(dim=1)
    return Triplets(anchors[found], positives[found], negatives[found])


def batch_hard(distances: Tensor, identities: Tensor, margin: float, random: torch.Generator) -> Triplets:
    """For each anchor its farthest positive and its nearest negative. Hermans, Beyer, Leibe 2017."""
    del margin, random
    positive, negative, usable = _sides(identities)
    return Triplets(
        usable,
        distances.masked_fill(~positive, -torch.inf).argmax(dim=1)[usable],
        distances.masked_fill(~negative, torch.inf).argmin(dim=1)[usable],
    )


MINERS: Final[dict[str, Callable[[Tensor, Tensor, float, torch.Generator], Triplets]]] = {
    "random": random_triplets,
    "semi-hard": semi_hard,
    "batch-hard": batch_hard,
}
"""(float32[N, N] distances, int64[N] identities, margin, chance) -> triplets; none when nobody has two images or
all are one person."""


def halves(identities: Tensor) -> Pairs:
    """The pairs that the sampler made: row i with row N / 2 + i."""
    first = torch.arange(len(identities) // 2, device=identities.device)
    second = first + len(identities) // 2
    return Pairs(first, second, identities[first] != identities[second])


def balanced(identities: Tensor, random: torch.Generator) -> Pairs:
    """Every pair of the same person in the batch once, and as many of two people by chance."""
    count = len(identities)
    first, second = torch.triu_indices(count, count, offset=1).to(identities.device)
    different = identities[first] != identities[second]
    strangers = different.nonzero()[:, 0]
    wanted = min(int((~different).sum()), len(strangers))
    chosen = strangers[torch.randperm(len(strangers), generator=random)[:wanted].to(strangers.device)]
    rows = torch.cat([(~different).nonzero()[:, 0], chosen])
    return Pairs(first[rows], second[rows], different[rows])


def _sides(identities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """bool[N, N] who is a positive of whom, who a negative; int64[A] the anchors that have both."""
    same = identities[:, None] == identities[None, :]
    positive = same & ~torch.eye(len(identities), dtype=torch.bool, device=same.device)
    usable = positive.any(dim=1) & (~same).any(dim=1)
    return positive, ~same, usable.nonzero()[:, 0]
