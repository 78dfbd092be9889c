"""Two replays of the same frames: python -m tests.arm64.compare HERE.jsonl THERE.jsonl. Exits with 1 if they differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

MOST: Final = 0.02
"""Largest difference of a distance: int8 kernels of x86 and ARM may round one step apart (issue 7)."""

SAME: Final = ("frame", "face", "quality", "decision", "reason", "person", "decided_on")


def compared(here: list[dict[str, Any]], there: list[dict[str, Any]]) -> tuple[list[str], float]:
    """-> a sentence for each difference that matters, and the largest difference of a distance."""
    if len(here) != len(there):
        return [f"{len(here)} frames here, {len(there)} there."], 0.0
    problems, worst = [], 0.0
    for a, b in zip(here, there, strict=True):
        problems += [f"{a['frame']}: {key} is {a[key]!r} here, {b[key]!r} there." for key in SAME if a[key] != b[key]]
        for key in ("distance", "runner_up"):
            if (a[key] is None) != (b[key] is None):
                problems.append(f"{a['frame']}: {key} is {a[key]} here, {b[key]} there.")
            elif a[key] is not None:
                worst = max(worst, abs(a[key] - b[key]))
    if worst > MOST:
        problems.append(f"A distance differs by {worst:.4f}, at most {MOST} is rounding.")
    return problems, worst


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main(here: Path, there: Path) -> int:
    first, second = read(here), read(there)
    problems, worst = compared(first, second)
    decided = sum(line["decision"] != "none" for line in first)
    print("\n".join(problems) or f"{len(first)} frames, {decided} decisions: the same; distances within {worst:.4f}.")
    return 1 if problems or not decided else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
