"""Count walk-ups: what should have happened at a door against what the page says that happened. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, Final

from device.demo_camera import Walkup

OWNERS_WANTED: Final = 0.9
"""Share of owner walk-ups that must be granted (issue 2)."""


def name_of(person: int) -> str:
    """What a person of the AT&T set is called in the demo."""
    return f"Person {person}"


@dataclass
class Tally:
    """Walk-ups and grants. `surprises`: a sentence for each grant that should not have been."""

    owner_walkups: int = 0
    owner_granted: int = 0
    stranger_walkups: int = 0
    stranger_granted: int = 0
    frame_to_unlock_ms: list[float] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def add(self, door: str, script: Sequence[Walkup], events: Iterable[dict[str, Any]]) -> None:
        """One door's walk-ups, and its events as the page's /events gives them, in any order.

        A walk-up counts once however many grants it had. A grant to somebody other than who stands there counts as
        a stranger granted, whoever it was. Grants of walk-ups outside of the script are left out.
        """
        granted: dict[int, set[str]] = {}
        for event in events:
            if event["outcome"] != "granted":
                continue
            if not event["scene"]:
                self.stranger_granted += 1
                self.surprises.append(f"{door}: a grant to {event['person']} with nobody in the picture.")
                continue
            granted.setdefault(int(event["scene"]), set()).add(event["person"])
            delay = event["stage_ms"].get("frame_to_unlock")
            if delay is not None:
                self.frame_to_unlock_ms.append(float(delay))
        for visit in script:
            names = granted.get(visit.number, set())
            expected = {name_of(visit.person)} if visit.is_owner else set()
            self.owner_walkups += visit.is_owner
            self.stranger_walkups += not visit.is_owner
            self.owner_granted += bool(names & expected)
            if wrong := names - expected:
                self.stranger_granted += 1
                who = f"{name_of(visit.person)} (photo {visit.photo})"
                self.surprises.append(
                    f"{door}, walk-up {visit.number}: {who} was let in as {', '.join(sorted(wrong))}."
                )

    def problems(self, owners_wanted: float = OWNERS_WANTED) -> list[str]:
        """Why the check fails, a sentence each; empty when it passes. owners_wanted: share, 0 to 1."""
        found = []
        if self.stranger_granted:
            found.append(f"{self.stranger_granted} walk-up(s) opened that should not have. {' '.join(self.surprises)}")
        if not self.owner_walkups or self.owner_granted / self.owner_walkups < owners_wanted:
            found.append(
                f"Of {self.owner_walkups} owner walk-ups {self.owner_granted} were let in; "
                f"{owners_wanted:.0%} are wanted."
            )
        return found


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """Milliseconds -> {"p50": x, "p95": x}, None where there are no values."""
    if not values:
        return {"p50": None, "p95": None}
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1)}
