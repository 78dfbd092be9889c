"""Rates of error from distances, in ISO/IEC 19795-1's words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_config.face import FloatArray


@dataclass(frozen=True)
class PairTable:
    """genuine: float32[G], impostor: float32[I]: distances of all pairs of the same and of other people."""

    genuine: FloatArray
    impostor: FloatArray


def all_distances(embeddings: FloatArray) -> FloatArray:
    """float32[N, D] -> float32[N, N], Euclidean."""
    squares = np.sum(embeddings**2, axis=1)
    squared = squares[:, None] + squares[None, :] - 2.0 * embeddings @ embeddings.T
    distances: FloatArray = np.sqrt(np.maximum(squared, 0.0), dtype=np.float32)
    return distances


def across_distances(templates: FloatArray, probes: FloatArray) -> FloatArray:
    """float32[N, D], float32[M, D], unit rows of two encoders -> float32[N, M], Euclidean."""
    distances: FloatArray = np.sqrt(np.maximum(2.0 - 2.0 * templates @ probes.T, 0.0), dtype=np.float32)
    return distances


def pair_table(embeddings: FloatArray, identities: npt.NDArray[np.int64]) -> PairTable:
    """Every pair of rows once, sorted into genuine and impostor by identity."""
    rows, columns = np.triu_indices(len(embeddings), k=1)
    distances = all_distances(embeddings)[rows, columns]
    same = identities[rows] == identities[columns]
    return PairTable(distances[same], distances[~same])


def tau_at_fmr(impostor: FloatArray, fmr: float) -> float:
    """The largest threshold at which at most `fmr` of the impostors are at or below it; 0 when none is.

    fmr: 0 to 1. The k-th smallest impostor distance is the first to be let in too many, so stay below it.
    """
    allowed = int(np.floor(fmr * len(impostor) + 1e-9))
    if allowed >= len(impostor):
        return 2.0
    first_refused = np.partition(impostor, allowed)[allowed]
    return max(0.0, float(np.nextafter(first_refused, np.float32(-1.0))))


def true_accept_rate(genuine: FloatArray, impostor: FloatArray, fmr: float) -> float:
    """Share of genuine pairs at or below the threshold for `fmr`, 0 to 1."""
    return float(np.mean(genuine <= tau_at_fmr(impostor, fmr)))


def equal_error_rate(genuine: FloatArray, impostor: FloatArray) -> float:
    """The rate at which false matches and false non-matches are equally frequent, 0 to 1."""
    thresholds = np.unique(np.concatenate([genuine, np.quantile(impostor, np.linspace(0, 1, 2001))]))
    fmr = np.searchsorted(np.sort(impostor), thresholds, side="right") / len(impostor)
    fnmr = 1.0 - np.searchsorted(np.sort(genuine), thresholds, side="right") / len(genuine)
    nearest = int(np.argmin(np.abs(fmr - fnmr)))
    return float((fmr[nearest] + fnmr[nearest]) / 2.0)
