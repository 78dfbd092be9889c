"""What the relay did against what the door had decided. Pure: lists in, verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COMMAND_LIFE_S = 4.0
"""A command is dead after two periods of the lock's challenge (firmware_config/keys.py)."""

EVIDENCE_LIFE_S = 0.5
"""Oldest frame that may open (device/decide.py, FRESH_S)."""

RECORD_LAG_S = 1.0
"""A record's time is taken after the command was handed to the socket; on a machine with thirty processes for two
cores that was up to 0.2 s later, and the lock had moved meanwhile."""


@dataclass(frozen=True, order=True)
class Grant:
    """A grant as the audit has it.

    sent_at: monotonic seconds of its record, made right after the unlock was handed to the socket. evidence_s: age of
    the deciding frame at that hand-over. scene: which walk-up was before the camera.
    """

    sent_at: float
    evidence_s: float
    scene: str = ""


@dataclass(frozen=True)
class Verdict:
    """founded: openings with the grant that each stands on. unfounded: openings (monotonic, s) without one."""

    founded: list[tuple[float, Grant]]
    unfounded: list[float]

    @property
    def evidence_at_relay_s(self) -> list[float]:
        """How old the deciding frame was when the relay moved; too little by as much as the record came late."""
        return [max(opened - grant.sent_at, 0.0) + grant.evidence_s for opened, grant in self.founded]


def match(openings: Sequence[float], grants: Sequence[Grant]) -> Verdict:
    """Each opening needs a grant of its own, sent at most a command's life before it: the nearest that is free."""
    free = sorted(grants, key=lambda grant: grant.sent_at)
    founded: list[tuple[float, Grant]] = []
    unfounded: list[float] = []
    for opened in sorted(openings):
        fitting = [grant for grant in free if -RECORD_LAG_S <= opened - grant.sent_at <= COMMAND_LIFE_S]
        if not fitting:
            unfounded.append(opened)
            continue
        _, nearest = min((abs(opened - grant.sent_at), grant) for grant in fitting)
        free.remove(nearest)
        founded.append((opened, nearest))
    return Verdict(founded, unfounded)
