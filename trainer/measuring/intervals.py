"""How sure a rate is: resamples of people, since the pairs of one person stand and fall together."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from firmware_config.face import FloatArray

BOOTSTRAPS: Final = 400
"""Resamples of people; 400 put the 2.5 % ends on the tenth value."""

Interval = tuple[float, float]
"""Its 2.5 and 97.5 % ends."""


def drawn(random: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    """One resample with replacement: how often each of `count` people is in it, int64[count]."""
    return np.bincount(random.integers(count, size=count), minlength=count)


def by_identity(
    distances: FloatArray,
    same: npt.NDArray[np.bool_],
    people: npt.NDArray[np.int64],
    rates: tuple[float, ...],
    seed: int = 0,
    resamples: int = BOOTSTRAPS,
) -> tuple[Interval, list[Interval]]:
    """95 % intervals of the EER, and of TAR at each false match rate.

    distances: float32[P]; same: bool[P]; people: int64[P, 2], whose the two pictures of each pair are. A person drawn
    k times gives its genuine pairs k times, and two people drawn k and l times their impostor pairs k * l times
    (Poh and Bengio 2007 resample so, for the reason that pairs are not independent and people are).
    """
    order = np.argsort(distances, kind="stable")
    first, second = people[order].T
    genuine = same[order]
    random = np.random.default_rng(seed)
    count = int(people.max()) + 1
    found = np.empty((resamples, 1 + len(rates)))
    for row in found:
        copies = drawn(random, count).astype(np.float64)
        weights = np.where(genuine, copies[first], copies[first] * copies[second])
        row[:] = weighted_rates(weights, genuine, rates)
    low, high = np.nanpercentile(found, [2.5, 97.5], axis=0)
    ends = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    return ends[0], ends[1:]


def weighted_rates(
    weights: npt.NDArray[np.float64], genuine: npt.NDArray[np.bool_], rates: tuple[float, ...]
) -> list[float]:
    """EER, then TAR at each rate, of pairs sorted by distance. weights: float64[P]; genuine: bool[P].

    NaN when the weights leave no genuine or no impostor pair.
    """
    matches = np.cumsum(np.where(genuine, weights, 0.0))
    false = np.cumsum(np.where(genuine, 0.0, weights))
    if matches[-1] == 0 or false[-1] == 0:
        return [float("nan")] * (1 + len(rates))
    tar, fmr = matches / matches[-1], false / false[-1]
    crossing = int(np.argmin(np.abs(fmr - (1.0 - tar))))
    tars = []
    for rate in rates:
        # The last pair that may still be accepted: those after it at the same FMR are genuine and come along.
        inside = int(np.searchsorted(fmr, rate * (1 + 1e-9), side="right"))
        tars.append(float(tar[inside - 1]) if inside else 0.0)
    return [float((fmr[crossing] + 1.0 - tar[crossing]) / 2.0), *tars]
