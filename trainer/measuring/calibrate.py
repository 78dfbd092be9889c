"""Threshold against error rate, on people the encoder never saw: what goes into calibration.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware_config.calibration import Calibration, Histogram, OperatingPoint
from firmware_config.errors import BadInput
from firmware_config.face import MAX_DISTANCE, FloatArray
from trainer.measuring.intervals import BOOTSTRAPS, drawn
from trainer.measuring.metrics import across_distances, all_distances

RATES: Final = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""False match rates that the bundle lists: one in a hundred to one in a million."""

BINS: Final = 400
"""Of the histograms: 0.005 each, finer than anyone can move a slider."""

TAIL_SHARE: Final = 1e-3
"""Of impostor pairs: those nearer than this share make the fitted tail."""

FEWEST_COUNTED: Final = 10
"""Impostor pairs below tau, under which the tail's fit is believed more than the count (ISO/IEC 19795-1's
rule of 30 asks for more; ten is where the contract marks a point as extrapolated)."""

FEWEST_IMPOSTORS: Final = 1000
"""Pairs, under which not even one in a hundred can be counted ten times."""

KEPT_SHARE: Final = 0.03
"""Of impostor pairs: the nearest ones that the bootstrap needs, three times the highest rate's."""

METHOD: Final = (
    "Distances of all pairs through the file that a door runs. tau is the largest distance at which at most FMR of the "
    f"impostor pairs match; below {FEWEST_COUNTED} pairs it is read off a generalised Pareto tail fitted to the "
    f"nearest {TAIL_SHARE:g} of them by probability-weighted moments. Intervals: 95 %, "
    f"{BOOTSTRAPS} bootstraps over identities. Labels are taken as they are, noise included."
)
METHOD_ACROSS: Final = (
    "Templates of the older encoder against probes of the newer one, both int8: every picture in both parts, and never "
    f"with itself, so that each two pictures make two pairs. {METHOD}"
)


@dataclass(frozen=True)
class Tail:
    """The nearest impostor pairs, sorted: distance, and the two people of each."""

    distances: FloatArray
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]


def calibrate(
    embeddings: FloatArray,
    identities: npt.NDArray[np.int64],
    source: str,
    seed: int = 0,
    probes: FloatArray | None = None,
) -> Calibration:
    """embeddings: float32[N, 128], unit rows of the int8 encoder; identities: int64[N], 0 to people - 1. probes: rows
    of another encoder for the same pictures, where embeddings are the templates that those are compared with.

    Raises BadInput when there are too few pairs to say anything.
    """
    if probes is None:
        rows, columns = np.triu_indices(len(embeddings), k=1)
        distances = all_distances(embeddings)[rows, columns]
    else:
        # Which picture is the template makes a difference now; none is compared with itself.
        rows, columns = np.nonzero(~np.eye(len(embeddings), dtype=bool))
        distances = across_distances(embeddings, probes)[rows, columns]
    same = identities[rows] == identities[columns]
    genuine, owners = distances[same], identities[rows[same]]
    impostor = distances[~same]
    if len(genuine) < 10 or len(impostor) < FEWEST_IMPOSTORS:
        raise BadInput(f"{len(genuine)} genuine and {len(impostor)} impostor pairs are too few to calibrate with.")
    first, second = identities[rows[~same]], identities[columns[~same]]
    kept = np.argsort(impostor)[: max(1000, int(len(impostor) * KEPT_SHARE))]
    tail = Tail(impostor[kept], first[kept], second[kept])
    people = int(identities.max()) + 1
    images = np.bincount(identities, minlength=people).astype(np.float64)
    ways = 1 if probes is None else 2
    points = _points(tail, genuine, owners, images, np.ones(people), ways)
    random = np.random.default_rng(seed)
    resampled = [_points(tail, genuine, owners, images, drawn(random, people), ways) for _ in range(BOOTSTRAPS)]
    low, high = np.percentile(np.array(resampled), [2.5, 97.5], axis=0)
    return Calibration(
        genuine=histogram(genuine),
        impostor=histogram(impostor),
        operating_points=[
            OperatingPoint(
                fmr=rate,
                tau=points[i, 0],
                tau_low=min(low[i, 0], points[i, 0]),
                tau_high=max(high[i, 0], points[i, 0]),
                fnmr=points[i, 1],
                fnmr_low=min(low[i, 1], points[i, 1]),
                fnmr_high=max(high[i, 1], points[i, 1]),
                extrapolated=bool(rate * len(impostor) < FEWEST_COUNTED),
            )
            for i, rate in enumerate(RATES)
        ],
        identities=people,
        genuine_pairs=len(genuine),
        impostor_pairs=len(impostor),
        method=METHOD if probes is None else METHOD_ACROSS,
        source=source,
    )


def histogram(distances: FloatArray) -> Histogram:
    """Counts in BINS equal bins over 0 to 2; rounding may carry a distance just over 2."""
    counts, _ = np.histogram(np.minimum(distances, MAX_DISTANCE), bins=BINS, range=(0.0, MAX_DISTANCE))
    return Histogram(counts=[int(count) for count in counts])


def _points(
    tail: Tail,
    genuine: FloatArray,
    owners: npt.NDArray[np.int64],
    images: npt.NDArray[np.float64],
    copies: npt.NDArray[np.float64] | npt.NDArray[np.int64],
    ways: int = 1,
) -> npt.NDArray[np.float64]:
    """tau and FNMR at each rate, float64[rates, 2], when person i is in the sample copies[i] times. ways: pairs that
    two pictures make, 1 or 2."""
    there = images * copies
    # Pairs of two copies of one person are neither genuine nor impostor: a bootstrap made them.
    total = ways * (there.sum() ** 2 - np.square(there).sum()) / 2.0
    weights = (copies[tail.first] * copies[tail.second]).astype(np.float64)
    own = copies[owners].astype(np.float64)
    found = np.empty((len(RATES), 2))
    below = MAX_DISTANCE
    for i, rate in enumerate(RATES):
        below = min(below, tail_tau(tail.distances, weights, total, rate))
        matched = own[genuine <= below].sum() / max(own.sum(), 1.0)
        found[i] = below, 1.0 - matched
    return found


def tail_tau(distances: FloatArray, weights: npt.NDArray[np.float64], total: float, rate: float) -> float:
    """The threshold at which `rate` of all impostor pairs match.

    distances: float32[K], sorted, the nearest of `total` weighted pairs; weights: float64[K]. Counted where
    FEWEST_COUNTED or more lie below, else from the tail: with x = u - d for the pairs nearer than u, the
    generalised Pareto quantile (Pickands 1975) with Hosking and Wallis' moments (1987). 0 to 2.
    """
    cumulative = np.cumsum(weights)
    if rate * total >= FEWEST_COUNTED:
        at = int(np.searchsorted(cumulative, rate * total, side="right"))
        return max(0.0, float(np.nextafter(distances[min(at, len(distances) - 1)], np.float32(-1.0))))
    at = min(int(np.searchsorted(cumulative, TAIL_SHARE * total)), len(distances) - 1)
    u = float(distances[at])
    part = cumulative[at] / total
    x = (u - distances[: at + 1]).astype(np.float64)[::-1]  # ascending: how far inside u
    w = weights[: at + 1][::-1]
    mass = w.sum()
    rank = (np.cumsum(w) - 0.5 * w) / mass
    b0 = float((w * x).sum() / mass)
    b1 = float((w * x * (1.0 - rank)).sum() / mass)
    if b0 <= 2.0 * b1:  # one pair, or all alike: no tail to fit, so stay below the nearest
        return max(0.0, float(np.nextafter(distances[0], np.float32(-1.0))))
    shape = b0 / (b0 - 2.0 * b1) - 2.0
    scale = 2.0 * b0 * b1 / (b0 - 2.0 * b1)
    ratio = rate / part
    inside = -scale * np.log(ratio) if abs(shape) < 1e-6 else scale / shape * (1.0 - ratio**shape)
    return float(np.clip(u - inside, 0.0, u))
