"""Somebody before the door: what each frame showed of them, and what the latest frames say together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from device.match import Match
from firmware_config.face import Reason

TELLING: Final = (Reason.LOCKED_DOWN, Reason.NOT_VALID_NOW, Reason.UNDER_GUARD, Reason.AMBIGUOUS, Reason.UNKNOWN_FACE)
"""Reasons of a frame that was compared, the one that says most first: it decides between reasons met equally often."""

JUDGED: Final = (*TELLING, Reason.NO_ROSTER)
"""Reasons of a judged frame. All others say why it could not be judged."""

ABOUT_SOMEBODY: Final = (Reason.GRANTED, *TELLING[:4])
"""Reasons that are about one enrolled person, who is named with them."""


class Observation(NamedTuple):
    """What one frame showed.

    captured_at: monotonic seconds. sequence: the camera's count. quality: None is good. match: None when nothing
    was compared. face: False when nobody was seen.
    """

    captured_at: float
    sequence: int
    quality: Reason | None
    match: Match | None
    face: bool = True


class Ballot(NamedTuple):
    """A frame with a face, and what it says by the rule in force. GRANTED is a vote for `match.person_id`."""

    seen: Observation
    stale: bool
    says: Reason = Reason.STALE_FRAME

    @property
    def judged(self) -> bool:
        return self.says is Reason.GRANTED or self.says in JUDGED

    @property
    def person_id(self) -> str:
        """The nearest person's; "" when nothing was compared."""
        return self.seen.match.person_id if self.seen.match is not None else ""

    @property
    def distance(self) -> float:
        """To the nearest person; infinite when nothing was compared."""
        return self.seen.match.distance if self.seen.match is not None else float("inf")


@dataclass
class Visit:
    """ballots: the latest. faces, judged: frames with a face, and those that were judged. near: frames near a person,
    by id. denied: the reason that was told last."""

    began: float
    last_face: float
    ballots: list[Ballot] = field(default_factory=list)
    faces: int = 0
    judged: int = 0
    near: Counter[str] = field(default_factory=Counter)
    granted: bool = False
    denied: Reason | None = None

    @property
    def settled(self) -> bool:
        """Nothing more is to be refused. Whoever was told that they cannot be judged may yet be judged."""
        return self.granted or self.denied in JUDGED


def most_telling(ballots: list[Ballot]) -> Reason:
    """The reason met most among judged frames; none judged: the newest frame's. ballots: at least one."""
    judged = [b for b in ballots if b.judged]
    if not judged:
        return ballots[-1].says
    voted_for = {b.person_id for b in judged if b.says is Reason.GRANTED}
    # Votes that did not suffice: for several people they contradict each other, for one they are too few.
    short = Reason.AMBIGUOUS if len(voted_for) > 1 else Reason.UNKNOWN_FACE
    counts = Counter(short if b.says is Reason.GRANTED else b.says for b in judged)
    return max(counts, key=lambda reason: (counts[reason], -JUDGED.index(reason)))
