"""What a target's sittings have come to: seconds, executions and what they ran into, in a folder that outlives them.

.fuzz/NAME/found.json   the sum
.fuzz/NAME/corpus/      what libFuzzer found worth keeping, tried first in the next sitting
.fuzz/NAME/input-*      what crashed it or hung
.fuzz/NAME/stuck-*      what libFuzzer itself ended it for
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

FOUND: Final = "found.json"
KEPT: Final = Path(__file__).parents[2] / ".fuzz"
"""Ignored by git; remove it to begin anew."""


@dataclass
class Found:
    """seconds: of the processor. crashes, hangs: the place -> what was said of it. ended: the last sitting was not
    killed before its time."""

    seconds: float = 0.0
    sittings: int = 0
    executions: int = 0
    crashes: dict[str, str] = field(default_factory=dict)
    hangs: dict[str, str] = field(default_factory=dict)
    begun_mb: float = 0.0
    peak_mb: float = 0.0
    ended: bool = False

    def save(self, folder: Path) -> None:
        """Raises OSError."""
        half = folder / f".{FOUND}"
        half.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        half.replace(folder / FOUND)


def found_in(folder: Path) -> Found:
    """Nothing yet where there is none. Raises TypeError, ValueError for a file that another version wrote."""
    try:
        return Found(**json.loads((folder / FOUND).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Found()


def sit_down(folder: Path, seeds: Sequence[bytes], begun_mb: float) -> Found:
    """Begin another sitting -> the sum so far.

    What went wrong before goes into the corpus: it is tried again first, so that a defect that was mended is forgotten
    and one that was not is found at once.
    """
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, document in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(document)
    for bad in (*folder.glob("input-*"), *folder.glob("stuck-*")):
        bad.replace(corpus / bad.name)
    found = found_in(folder)
    found.crashes, found.hangs = {}, {}
    found.sittings += 1
    found.begun_mb, found.ended = begun_mb, False
    found.save(folder)
    return found
