"""A decider with a clock and somebody in front of it, for tests that tell what the door decides."""

from __future__ import annotations

from datetime import datetime, timezone

from device.decide import Decider, Decision, Observation
from device.guard import GuardState
from device.match import Match
from firmware_config.face import Reason
from firmware_config.roster import Person, Policy, Roster
from tests.makers import encoder_id, person

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
FRAME_S = 1 / 15
POLICY = Policy(tau=0.9, tau_strict=0.7)
TWO = (person("Ada", 1), person("Bob", 2))


def roster(policy: Policy = POLICY, people: tuple[Person, ...] = TWO) -> Roster:
    return Roster(
        site="office", door="front", generation=1, encoder_id=encoder_id(), policy=policy, people=list(people)
    )


def near(name: str, distance: float, runner_up: float = 1.4) -> Match:
    return Match(f"id-{name}", name, distance, runner_up)


class Door:
    """A decider, a camera's clock and a list of what was decided."""

    def __init__(self, of: Roster | None = None, guard: GuardState | None = None, *, known: bool = True) -> None:
        self.decider = Decider((of or roster()) if known else None, guard)
        self.now = 1000.0
        self.wall = NOON
        self.sequence = 0
        self.decisions: list[Decision] = []

    def frame(
        self,
        match: Match | None = None,
        *,
        quality: Reason | None = None,
        face: bool = True,
        age: float = 0.03,
        step: float = FRAME_S,
    ) -> Decision | None:
        self.now += step
        self.sequence += 1
        seen = Observation(self.now - age, self.sequence, quality, match, face)
        decision = self.decider.step(seen, self.now, self.wall)
        if decision is not None:
            self.decisions.append(decision)
        return decision

    def frames(self, count: int, match: Match | None = None, **more: object) -> None:
        for _ in range(count):
            self.frame(match, **more)  # type: ignore[arg-type]

    def nobody(self, seconds: float = 1.3) -> None:
        self.frames(round(seconds / FRAME_S), face=False)

    def told(self) -> list[tuple[str, Reason, str]]:
        return [(d.outcome, d.reason, d.name) for d in self.decisions]

    @property
    def opened(self) -> int:
        return sum(d.outcome == "granted" for d in self.decisions)


GRANTED_ADA = ("granted", Reason.GRANTED, "Ada")
REFUSED_UNKNOWN = ("denied", Reason.UNKNOWN_FACE, "")
