"""What a row of the fault bench is, and what a part of it found.

To add a row: write tests/faults/NAME.py with `ROW = Row(...)` and name the module in rows.py. The bench cuts
`count` faults into parts of `part_size`, runs each part as a process of its own (`run(part, findings)`), several at
once, and adds up what they found. So a row
- draws everything by chance from `part.random`, which depends on seed, row and part only: a part replays alone;
- writes only below `part.folder`, which is kept when the part found something wrong;
- counts what must not happen with `findings.count(KEY, 0 or more)`, at least once a part, so that a figure that was
  never looked at is missing and not zero; measures with `findings.measure(KEY, value)`; counts with
  `findings.done += 1` each fault that was really done;
- says what went wrong in a sentence, `findings.wrong.append(...)`: any sentence fails the row;
- raises Skipped, or calls `findings.leave_out`, where the machine cannot do it: shown, and a failure where CI=true;
- has a control (a figure with `at_least`), without which "0 opened" would also be said of a door that is off.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


class Skipped(Exception):
    """This machine cannot run it; the message says what it lacks and which package brings it."""


@dataclass(frozen=True)
class Figure:
    """One column of a row. A list of values becomes one: their sum, or the worst (largest) of them."""

    key: str
    title: str
    at_most: float | None = None
    at_least: float | None = None
    worst: bool = False
    unit: str = ""

    def value(self, values: list[float]) -> float | None:
        """None: nobody looked."""
        if not values:
            return None
        return max(values) if self.worst else sum(values)

    def met(self, values: list[float]) -> bool:
        value = self.value(values)
        if value is None:
            return False
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def tells(self, values: list[float]) -> str:
        """As it stands in the table."""
        value = self.value(values)
        said = "not measured" if value is None else f"{value:,.3g}" if self.worst else f"{value:,.0f}"
        wanted = f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"
        middle = f", median {median(values):.3g}" if self.worst and len(values) > 1 else ""
        return f"{self.title}: {said}{self.unit} ({wanted}{middle})"


@dataclass(frozen=True)
class Part:
    """A piece of a row. index: from 0. count: faults to do in it. short: of the run that belongs to `make test`.

    at_most: seconds in this sitting, for a row that goes on where it stopped; 0: all that are missing."""

    row: str
    seed: int
    index: int
    count: int
    folder: Path
    short: bool = False
    at_most: int = 0

    @property
    def random(self) -> random.Random:
        """A generator from its start; draw from one, kept."""
        return random.Random(f"{self.seed} {self.row} {self.index}")


@dataclass
class Findings:
    """What a part, or all parts of a row, found. left_out: what this machine could not do -> why."""

    done: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    took_s: float = 0.0

    def count(self, key: str, number: float = 1) -> None:
        """What is counted, 0 included."""
        self.values.setdefault(key, []).append(float(number))

    def measure(self, key: str, value: float) -> None:
        """What is measured: each value is kept."""
        self.values.setdefault(key, []).append(round(float(value), 4))

    def note(self, key: str, number: float) -> None:
        """Something worth knowing that is no figure; notes are added up."""
        self.notes[key] = self.notes.get(key, 0) + number

    def leave_out(self, what: str, why: str) -> None:
        """This machine cannot do it."""
        self.left_out[what] = why

    def add(self, other: Findings) -> None:
        """Another part's findings to these."""
        self.done += other.done
        self.took_s += other.took_s
        self.wrong += other.wrong
        self.left_out |= other.left_out
        for key, values in other.values.items():
            self.values.setdefault(key, []).extend(values)
        for key, number in other.notes.items():
            self.note(key, number)


@dataclass(frozen=True)
class Row:
    """One line of the table. short, long: how many faults. part_size: how many a process does.

    part_limit_s: a part that takes longer hangs and is killed. run: does `part.count` faults, tells `findings`.
    """

    name: str
    title: str
    unit: str
    figures: tuple[Figure, ...]
    short: int
    long: int
    part_size: int
    part_limit_s: float
    run: Callable[[Part, Findings], None]
    short_part_size: int = 0

    def parts(self, seed: int, count: int, folder: Path, short: bool) -> list[Part]:
        """`count` faults cut into parts."""
        size = (self.short_part_size if short else 0) or self.part_size
        starts = range(0, count, size)
        return [
            Part(self.name, seed, number, min(size, count - start), folder / f"{self.name}-{number}", short)
            for number, start in enumerate(starts)
        ]

    def missed(self, findings: Findings, *, ci: bool) -> list[str]:
        """Sentences about what is not as it must be; none: the row stands."""
        if not findings.done and findings.left_out and not ci:
            return []
        said = list(findings.wrong)
        said += [
            figure.tells(found) for figure in self.figures if not figure.met(found := self._values(findings, figure))
        ]
        if ci:
            said += [f"CI leaves nothing out, but {what}: {why}" for what, why in findings.left_out.items()]
        return said

    def _values(self, findings: Findings, figure: Figure) -> list[float]:
        return findings.values.get(figure.key, [])

    def facts(self, findings: Findings, wanted: int, *, ci: bool) -> dict[str, Any]:
        """For JSON."""
        figures = {
            figure.key: {
                "title": figure.title,
                "value": figure.value(self._values(findings, figure)),
                "median": median(found) if (found := self._values(findings, figure)) and figure.worst else None,
                "samples": len(self._values(findings, figure)),
                "at_most": figure.at_most,
                "at_least": figure.at_least,
                "met": figure.met(self._values(findings, figure)),
            }
            for figure in self.figures
        }
        missed = self.missed(findings, ci=ci)
        return {
            "row": self.name,
            "title": self.title,
            "done": findings.done,
            "wanted": wanted,
            "unit": self.unit,
            "figures": figures,
            "notes": findings.notes,
            "left_out": findings.left_out,
            "missed": missed,
            "took_s": round(findings.took_s, 1),
        }
