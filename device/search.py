"""Exact nearest templates, quickly: a first pass over bytes that rules nearly everybody out, the rest in float32.

Up to FEW templates one matrix product is all there is. Above, each template is also kept as 128 codes of seven bits, a
quarter of the bytes to read. How far a score of codes can be from the true cosine is bounded (Cauchy-Schwarz, with the
largest rounding there is), so whoever is further behind than twice that cannot be first or second; the others are
compared in float32. The result is that of float32, always: codes change no decision.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from device.runtime import open_session
from firmware_config.face import EMBEDDING_SIZE, FloatArray

Codes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.intp]

FEW: Final = 20_000
"""Templates up to which float32 alone is used: 10 MB, 0.4 ms on x86."""

HALF: Final = 63
ZERO: Final = 64
"""Codes are ZERO +- HALF. Seven bits: x86 without VNNI adds two products of eight bits in sixteen, and clips."""

PROBE_HALF: Final = 127

CHUNK: Final = 65_536
"""Templates scored at a time: 8 MB of codes, and scores that stay in the cache."""

TOO_MANY: Final = 0.1
"""Share of the people above which ruling out has not paid, and everybody is compared in float32."""

INT8_DOT: Final = base64.b64decode(
    "CAgSCGxhdGNoa2V5OoEBCiUKBWNvZGVzCgVwcm9iZRIGc2NvcmVzIg1NYXRNdWxJbnRlZ2VyEghpbnQ4LWRvdFoZCgVjb2RlcxIQ"
    "Cg4IAhIKCgMSAW4KAwiAAVoYCgVwcm9iZRIPCg0IAxIJCgMIgAEKAggBYhkKBnNjb3JlcxIPCg0IBhIJCgMSAW4KAggBQgQKABAN"
)
"""An ONNX graph of one node: uint8[n, 128] times int8[128, 1] -> int32[n, 1]. onnxruntime has the kernels for every
processor that a door has; numpy has none for bytes."""


@dataclass(frozen=True)
class Coded:
    """codes: uint8[M, 128], ZERO +- HALF. scale: of one step. error: the furthest that a template is from its codes."""

    codes: Codes
    scale: float
    error: float


def encode(templates: FloatArray) -> Coded:
    """float32[M, 128], unit rows -> the same in seven bits. M at least 1."""
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
        self._templates, self._first_row, self._coded = templates, first_row, coded
        self._alone = len(first_row) == len(templates)
        if coded is not None:
            self._dot = open_session(INT8_DOT, 1, "The search of codes")

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
        if self._coded is None or len(self._first_row) < 3:
            return None
        step = float(np.abs(embedding).max()) / PROBE_HALF
        probe = np.rint(embedding / np.float32(step)).astype(np.int8)
        off = embedding.astype(np.float64) - probe.astype(np.float64) * step
        # |t.e - c.p| <= |t - c| |e| + |c| |e - p|, and |c| <= 1 + |t - c|.
        error = self._coded.error
        bound = error * float(np.linalg.norm(embedding)) + (1 + error) * float(np.sqrt(off @ off))
        scores = self._per_person(self._score(probe))
        best = int(scores.argmax())
        first, scores[best] = scores[best], np.iinfo(np.int32).min
        second = int(scores.max())
        scores[best] = first
        kept = np.flatnonzero(scores >= second - np.ceil(2 * bound / (self._coded.scale * step)))
        return kept if len(kept) <= max(2, TOO_MANY * len(scores)) else None

    def _score(self, probe: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
        # ZERO in every code adds the same to every score, which no comparison of two sees.
        assert self._coded is not None
        codes, column = self._coded.codes, probe.reshape(EMBEDDING_SIZE, 1)
        scores = np.empty(len(codes), dtype=np.int32)
        for first in range(0, len(codes), CHUNK):
            feeds = {"codes": codes[first : first + CHUNK], "probe": column}
            scores[first : first + CHUNK] = self._dot.run(None, feeds)[0][:, 0]
        return scores

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


def _top(cosines: npt.NDArray[Any]) -> tuple[int, float, float]:
    """The largest, where, and the second largest. What is given is spoilt."""
    best = int(np.argmax(cosines))
    cosine = float(cosines[best])
    cosines[best] = -np.inf
    return best, cosine, float(cosines.max())
