"""python -m benchmarks.board.lists: one probe against long lists, beside faiss and usearch and one pass over the bytes.

One thread for everybody; contestants take turns, so that a busy minute hits all alike. JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from device.match import Gallery
from firmware_config.face import EMBEDDING_SIZE, FloatArray

ROUNDS: Final = 15
FLOATS: Final = 100_000
BYTES: Final = 1_000_000


def unit_rows(count: int, seed: int) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((count, EMBEDDING_SIZE), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def gallery(rows: FloatArray) -> Gallery:
    names = [str(number) for number in range(len(rows))]
    return Gallery(names, names, rows, np.arange(len(rows)), "0" * 64)


def by_turns(contestants: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Name -> median milliseconds."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            if turn:
                taken[name].append((time.perf_counter() - begun) * 1000)
    return {name: median(values) for name, values in taken.items()}


def copy(array: np.ndarray[Any, Any]) -> Callable[[], object]:
    """Moves as many bytes as one pass reads: half the array is read and written."""
    half = array[: len(array) // 2]
    target = np.empty_like(half)
    return lambda: np.copyto(target, half)


def floats(count: int, probe: FloatArray) -> dict[str, float]:
    """Against count x 128 float32."""
    rows = unit_rows(count, 1)
    ours = gallery(rows)
    contestants: dict[str, Callable[[], object]] = {"floor": copy(rows), "ours": lambda: ours.nearest(probe)}
    contestants["float32 alone"] = lambda: np.max(rows @ probe)
    _add_faiss(contestants, rows, probe)
    _add_usearch(contestants, rows, probe)
    return by_turns(contestants)


def codes(count: int, probe: FloatArray) -> dict[str, float]:
    """Against count x 128 bytes; ours compares what is left in float32, usearch has eight bits alone."""
    rows = unit_rows(count, 2)
    ours = gallery(rows)
    eight = np.rint(rows * np.float32(127 / np.abs(rows).max())).astype(np.int8)
    asked = np.rint(probe * np.float32(127 / np.abs(probe).max())).astype(np.int8)
    contestants: dict[str, Callable[[], object]] = {"floor": copy(eight), "ours": lambda: ours.nearest(probe)}
    _add_usearch(contestants, eight, asked)
    return by_turns(contestants)


def main() -> int:
    probe = unit_rows(1, 9)[0]
    print(json.dumps({"float32": floats(FLOATS, probe), "int8": codes(BYTES, probe)}))
    return 0


def _add_faiss(contestants: dict[str, Callable[[], object]], rows: FloatArray, probe: FloatArray) -> None:
    try:
        import faiss  # noqa: PLC0415  # only where the bench's extra is installed
    except ImportError as error:
        print(f"faiss is left out: {error}", file=sys.stderr)
        return
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(EMBEDDING_SIZE)
    index.add(rows)
    contestants["faiss flat"] = lambda: index.search(probe[np.newaxis], 2)


def _add_usearch(contestants: dict[str, Callable[[], object]], rows: Any, probe: Any) -> None:
    try:
        from usearch.index import MetricKind, search  # noqa: PLC0415  # as above
    except ImportError as error:
        print(f"usearch is left out: {error}", file=sys.stderr)
        return
    contestants["usearch exact"] = lambda: search(rows, probe, 2, MetricKind.IP, exact=True, threads=1)


if __name__ == "__main__":
    sys.exit(main())
