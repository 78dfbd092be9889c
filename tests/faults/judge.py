"""What the relay did against what the door had decided. Pure: lists in, verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COMMAND_LIFE_S = 4.0
"""A command is dead after two periods of the lock's challenge (firmware_config/keys.py)."""

EVIDENCE_LIFE_S = 0.5
"""Oldest frame that may open (device/decide.py, FRESH_S)."""

SLACK_S = 0.1
"""Between the relay and the line about it that is read here: a busy machine's scheduling."""


@dataclass(frozen=True)
class Grant:
    """A grant as the audit has it. sent_at: monotonic seconds at which the unlock was handed to the socket.
    evidence_s: age of the deciding frame then. scene: which walk-up was before the camera.
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
        """How old the deciding frame was when the relay moved."""
        return [opened - grant.sent_at + grant.evidence_s for opened, grant in self.founded]


def match(openings: Sequence[float], grants: Sequence[Grant]) -> Verdict:
    """Each opening needs a grant of its own, sent before it and at most a command's life ago.

    An opening takes the newest grant that no other took: the door sends in order, over one connection.
    """
    free = sorted(grants, key=lambda grant: grant.sent_at)
    founded: list[tuple[float, Grant]] = []
    unfounded: list[float] = []
    for opened in sorted(openings):
        fitting = [grant for grant in free if -SLACK_S <= opened - grant.sent_at <= COMMAND_LIFE_S + SLACK_S]
        if not fitting:
            unfounded.append(opened)
            continue
        free.remove(fitting[-1])
        founded.append((opened, fitting[-1]))
    return Verdict(founded, unfounded)
