"""Exact nearest templates, quickly: a first pass over codes rules nearly everybody out, the rest in float32.

Up to FEW templates one matrix product is all there is. Above, each template is also kept as 128 codes of four bits, an
eighth of the bytes to read. How far the product of codes can be from the true cosine is bounded (Cauchy-Schwarz, with
each template's own rounding), so the first pass says of everybody how near they are at the most. Of the two who may be
nearest the cosines are then computed in full: whoever is at the most further than both is neither first nor second, and
of the others float32 decides. The result is that of float32, always: codes change no decision. Filter and refine, as
in Weber, Schek, Blott 1998 (the VA-file).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from device.code_dot import CODE_HALF, ROUNDING, Coded, bfloat16, code_products, packed, probe_error
from firmware_config.face import EMBEDDING_SIZE, FloatArray

Rows = npt.NDArray[np.intp]

FEW: Final = 20_000
"""Templates up to which float32 alone is used: 10 MB, 0.4 ms on x86."""

CHUNK: Final = 4096
"""Templates encoded at a time: 2 MB."""

WIDTHS: Final = (1.0, 0.8, 0.65)
"""Shares of a template's largest number that its largest code may stand for. With the largest alone one number would
coarsen all others; of random directions the third is the best for most."""

LENGTH: Final = 1.005
"""Of a template's codes at the most: match.Gallery takes no template above 1.001, and a scale is rounded by 1/256."""

TOO_MANY: Final = 0.1
"""Share of the people above which ruling out has not paid, and everybody is compared in float32."""


def encode(templates: FloatArray) -> Coded:
    """float32[M, 128], unit rows -> the same in four bits a number. M at least 1."""
    count = len(templates)
    codes = np.empty((count, EMBEDDING_SIZE // 2), dtype=np.uint8)
    scales, errors = (np.empty(count, dtype=np.float32) for _ in range(2))
    for first in range(0, count, CHUNK):
        here = slice(first, first + CHUNK)
        steps, scales[here], errors[here] = _in_steps(templates[here])
        codes[here] = packed(steps.astype(np.int8))
    return Coded(codes, scales, errors)


def _in_steps(rows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """-> whole numbers +- CODE_HALF; what one of them stands for, by least squares; how far that is off."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    steps, scales = np.empty_like(rows), np.empty(len(rows), dtype=np.float32)
    least = np.full(len(rows), np.inf, dtype=np.float32)
    length = _by_row(rows, rows)
    for width in WIDTHS:
        tried = np.rint(rows * (CODE_HALF / (width * largest)))
        np.clip(tried, -CODE_HALF, CODE_HALF, out=tried)
        along, square = _by_row(tried, rows), _by_row(tried, tried)
        scale = bfloat16(along / square)
        off = length - 2 * scale * along + scale * scale * square
        better = off < least
        least[better], scales[better], steps[better] = off[better], scale[better], tried[better]
    return steps, scales, np.sqrt(np.maximum(least, 0) + np.float32(ROUNDING))


def _by_row(one: FloatArray, other: FloatArray) -> FloatArray:
    products: FloatArray = np.einsum("ij,ij->i", one, other)
    return products


class Search:
    """Templates of one gallery, rows of a person side by side."""

    def __init__(self, templates: FloatArray, first_row: Rows, coded: Coded | None) -> None:
        """templates: float32[M, 128], unit rows. first_row: of each person, rising from 0. coded: of the same
        templates; None searches in float32."""
        self._templates, self._first_row = templates, first_row
        self._alone = len(first_row) == len(templates)
        # Less than three people are never ruled out.
        self._products = code_products(coded) if coded is not None and len(first_row) > 2 else None
        self._worst = float(coded.errors.max()) if coded is not None else 0.0

    def two_nearest(self, embedding: FloatArray) -> tuple[int, float, float]:
        """embedding: float32[128], unit length -> the nearest person, their cosine, and the next person's, minus
        infinity where there is none."""
        kept = self._not_ruled_out(embedding)
        if kept is None:
            return _top(self._per_person(self._templates.dot(embedding)))
        best, cosine, runner_up = _top(self._cosines(kept, embedding))
        return int(kept[best]), cosine, runner_up

    def _not_ruled_out(self, embedding: FloatArray) -> Rows | None:
        """People who may be first or second, or None when nearly all may."""
        if self._products is None:
            return None
        at_most = self._per_person(self._products.with_probe(embedding))
        # |t.e - c.p| <= |t - c| |e| + |c| |e - p|; the first is in at_most, for an |e| of 1. |c| is hardly more than
        # |t|: but for the scale's rounding, c is where t falls upon the direction of its steps.
        longer = max(float(np.linalg.norm(embedding)) - 1, 0.0)
        slack = self._worst * longer + LENGTH * probe_error(embedding) + ROUNDING
        second = float(self._cosines(_two_largest(at_most), embedding).min())
        kept: Rows = np.flatnonzero(at_most >= second - slack)
        return kept if len(kept) <= max(2, TOO_MANY * len(self._first_row)) else None

    def _cosines(self, people: Rows, embedding: FloatArray) -> FloatArray:
        """Of each one's nearest template."""
        if self._alone:
            cosines: FloatArray = self._templates[people] @ embedding
            return cosines
        counts = self._counts(people)
        cosines = self._templates[self._rows_of(people, counts)] @ embedding
        return np.maximum.reduceat(cosines, np.concatenate([[0], np.cumsum(counts)[:-1]]))

    def _per_person(self, of_rows: FloatArray) -> FloatArray:
        best: FloatArray = of_rows if self._alone else np.maximum.reduceat(of_rows, self._first_row)
        return best

    def _counts(self, people: Rows) -> Rows:
        ends = np.append(self._first_row[1:], len(self._templates))
        counts: Rows = ends[people] - self._first_row[people]
        return counts

    def _rows_of(self, people: Rows, counts: Rows) -> Rows:
        spans = zip(self._first_row[people], counts, strict=True)
        return np.concatenate([np.arange(first, first + count) for first, count in spans])


def _two_largest(values: FloatArray) -> Rows:
    """Where they are. values: at least 2, none infinite."""
    # Twice the largest is a fraction of a partition's time.
    first = int(np.argmax(values))
    largest, values[first] = values[first], -np.inf
    second = int(np.argmax(values))
    values[first] = largest
    return np.array([first, second], dtype=np.intp)


def _top(cosines: FloatArray) -> tuple[int, float, float]:
    """The largest, where, and the second largest. What is given is spoilt."""
    best = int(cosines.argmax())
    cosine = float(cosines[best])
    cosines[best] = -np.inf
    return best, cosine, float(cosines[cosines.argmax()])
