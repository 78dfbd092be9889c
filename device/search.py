"""Exact nearest templates, quickly: a first pass over bytes that rules nearly everybody out, the rest in float32.

Up to FEW templates one matrix product is all there is. Above, each template is also kept as 128 codes of eight bits, a
quarter of the bytes to read. How far a score of codes can be from the true cosine is bounded (Cauchy-Schwarz, with the
largest rounding there is), so whoever is further behind than twice that cannot be first or second; the others are
compared in float32. The result is that of float32, always: codes change no decision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from device.int8_dot import CODE_ZERO, code_products
from firmware_config.face import FloatArray

Codes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.intp]

FEW: Final = 20_000
"""Templates up to which float32 alone is used: 10 MB, 0.4 ms on x86."""

HALF: Final = 127
ZERO: Final = CODE_ZERO
"""Codes are ZERO +- HALF."""

BLOCK: Final = 1024
"""Scores that are looked at together: nearly every block holds nobody who may be first or second."""

CHUNK: Final = 65_536
"""Templates encoded at a time."""

TOO_MANY: Final = 0.1
"""Share of the people above which ruling out has not paid, and everybody is compared in float32."""


@dataclass(frozen=True)
class Coded:
    """codes: uint8[M, 128], ZERO +- HALF. scale: of one step. error: the furthest that a template is from its codes."""

    codes: Codes
    scale: float
    error: float


def encode(templates: FloatArray) -> Coded:
    """float32[M, 128], unit rows -> the same in eight bits. M at least 1."""
    scale = float(np.abs(templates).max()) / HALF
    codes = np.empty(templates.shape, dtype=np.uint8)
    error = 0.0
    for first in range(0, len(templates), CHUNK):
        part = templates[first : first + CHUNK]
        steps = np.rint(part / np.float32(scale))
        codes[first : first + CHUNK] = (steps + ZERO).astype(np.uint8)
        off = part.astype(np.float64) - steps.astype(np.float64) * scale
        error = max(error, float(np.sqrt((off * off).sum(axis=1).max())))
    return Coded(codes, scale, error)


class Search:
    """Templates of one gallery, rows of a person side by side."""

    def __init__(self, templates: FloatArray, first_row: Rows, coded: Coded | None) -> None:
        """templates: float32[M, 128], unit rows. first_row: of each person, rising from 0. coded: of the same
        templates; None searches in float32."""
        self._templates, self._first_row = templates, first_row
        self._alone = len(first_row) == len(templates)
        # Less than three people are never ruled out.
        self._coded = coded if len(first_row) > 2 else None
        if self._coded is not None:
            self._products = code_products(self._coded.codes)
            self._coded = replace(self._coded, codes=self._coded.codes[:0])  # onnxruntime has them now

    def two_nearest(self, embedding: FloatArray) -> tuple[int, float, float]:
        """embedding: float32[128], unit length -> the nearest person, their cosine, and the next person's, minus
        infinity where there is none."""
        kept = self._not_ruled_out(embedding)
        if kept is None:
            return _top(self._per_person(self._templates @ embedding))
        rows = kept if self._alone else self._rows_of(kept)
        cosines = self._templates[rows] @ embedding
        if not self._alone:
            counts = self._counts(kept)
            cosines = np.maximum.reduceat(cosines, np.concatenate([[0], np.cumsum(counts)[:-1]]))
        best, cosine, runner_up = _top(cosines)
        return int(kept[best]), cosine, runner_up

    def _not_ruled_out(self, embedding: FloatArray) -> Rows | None:
        """People who may be first or second, or None when nearly all may."""
        if self._coded is None:
            return None
        step = float(np.abs(embedding).max()) / self._products.half
        probe = np.rint(embedding / np.float32(step)).astype(np.int8)
        off = embedding.astype(np.float64) - probe.astype(np.float64) * step
        # |t.e - c.p| <= |t - c| |e| + |c| |e - p|, and |c| <= 1 + |t - c|.
        error = self._coded.error
        bound = error * float(np.linalg.norm(embedding)) + (1 + error) * float(np.sqrt(off @ off))
        width = int(np.ceil(2 * bound / (self._coded.scale * step)))
        kept = _within(self._per_person(self._products.with_probe(probe)), width)
        return kept if len(kept) <= max(2, TOO_MANY * len(self._first_row)) else None

    def _per_person(self, of_rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        best: npt.NDArray[Any] = of_rows if self._alone else np.maximum.reduceat(of_rows, self._first_row)
        return best

    def _counts(self, people: Rows) -> Rows:
        ends = np.append(self._first_row[1:], len(self._templates))
        counts: Rows = ends[people] - self._first_row[people]
        return counts

    def _rows_of(self, people: Rows) -> Rows:
        spans = zip(self._first_row[people], self._counts(people), strict=True)
        return np.concatenate([np.arange(first, first + count) for first, count in spans])


def _within(scores: npt.NDArray[Any], width: int) -> Rows:
    """Where scores are at most width below the second largest. scores: whole numbers [N], N at least 3."""
    starts = np.arange(0, len(scores), BLOCK)
    best = np.maximum.reduceat(scores, starts)
    # The second of the blocks' best is a score, so the second largest of all is no less.
    least = float(np.partition(best, -2)[-2]) - width if len(best) > 1 else -np.inf
    blocks = np.flatnonzero(best >= least)
    places = (starts[blocks, None] + np.arange(BLOCK)).ravel()
    places = places[places < len(scores)]
    found = scores[places]
    kept: Rows = places[found >= float(np.partition(found, -2)[-2]) - width]
    return kept


def _top(cosines: npt.NDArray[Any]) -> tuple[int, float, float]:
    """The largest, where, and the second largest. What is given is spoilt."""
    best = int(np.argmax(cosines))
    cosine = float(cosines[best])
    cosines[best] = -np.inf
    return best, cosine, float(cosines.max())
