"""Open-set identification: some who come are enrolled, with one photo each, and most of the world is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray

FPIRS: Final = (1e-1, 1e-2, 1e-3)
GALLERIES: Final = (10, 100, 1000)
DRAWS: Final = 30
"""Galleries drawn by chance; one gallery of ten people says little of the next."""


@dataclass(frozen=True)
class Miss:
    """FNIR at one FPIR: share of searches by enrolled people whose nearest template was not theirs, or too far.

    low, high: the middle 95 % of the draws. tau: the threshold, over all draws. strangers: searches that were allowed
    through at it, of all draws; below ten, the row says little.
    """

    fpir: float
    fnir: float
    low: float
    high: float
    tau: float
    strangers: int


@dataclass(frozen=True)
class Identification:
    """One gallery size. mated, non_mated: searches a draw, on average."""

    gallery: int
    draws: int
    mated: int
    non_mated: int
    misses: list[Miss]


def identify(
    embeddings: FloatArray,
    identities: npt.NDArray[np.int64],
    gallery: int,
    draws: int = DRAWS,
    fpirs: tuple[float, ...] = FPIRS,
    seed: int = 0,
) -> Identification:
    """embeddings: float32[N, 128], unit rows; identities: int64[N]; gallery: people enrolled, one photo each.

    Enrolled are drawn from the people with two photos or more, one photo each; their other photos are the mated
    searches, one photo of everybody else the non-mated ones. ISO/IEC 19795-1's FPIR and FNIR, rank one, with one
    threshold for all draws. Raises BadInput when there are too few people.
    """
    random = np.random.default_rng(seed)
    counts = np.bincount(identities)
    several = np.flatnonzero(counts >= 2)
    there = np.flatnonzero(counts)
    if gallery > len(several) or gallery >= len(there):
        raise BadInput(
            f"A gallery of {gallery} needs as many people with two photos, and others; there are {len(several)}."
        )
    order = np.argsort(identities, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    mated: list[npt.NDArray[np.float32]] = []
    non_mated: list[npt.NDArray[np.float32]] = []
    for _ in range(draws):
        photo = order[starts[there] + random.integers(counts[there])]  # one of each person
        enrolled = np.isin(there, random.choice(several, gallery, replace=False))
        templates, owners = embeddings[photo[enrolled]], there[enrolled]
        searches = np.flatnonzero(np.isin(identities, owners) & ~np.isin(np.arange(len(identities)), photo[enrolled]))
        nearest, distances = _nearest(embeddings[searches], templates)
        # Somebody else's template nearest is a miss at any threshold.
        mated.append(np.where(owners[nearest] == identities[searches], distances, np.inf).astype(np.float32))
        non_mated.append(_nearest(embeddings[photo[~enrolled]], templates)[1])
    strangers = np.sort(np.concatenate(non_mated))
    misses = []
    for fpir in fpirs:
        allowed = int(np.floor(fpir * len(strangers) + 1e-9))
        tau = float(np.nextafter(strangers[allowed], np.float32(-1.0)))
        each = [float(np.mean(one > tau)) for one in mated]
        low, high = np.percentile(each, [2.5, 97.5])
        fnir = float(np.mean(np.concatenate(mated) > tau))
        misses.append(Miss(fpir, fnir, float(low), float(high), tau, allowed))
    sizes = [round(float(np.mean([len(one) for one in many]))) for many in (mated, non_mated)]
    return Identification(gallery, draws, sizes[0], sizes[1], misses)


def _nearest(probes: FloatArray, templates: FloatArray) -> tuple[npt.NDArray[np.intp], FloatArray]:
    cosines = probes @ templates.T
    nearest = cosines.argmax(axis=1)
    best = cosines[np.arange(len(probes)), nearest]
    return nearest, np.sqrt(np.maximum(2.0 - 2.0 * best, 0.0), dtype=np.float32)
