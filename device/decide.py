"""The judgement: frames that were looked at -> who is let in, and why not. A pure state machine, no I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Final, Literal, NamedTuple

from device.guard import Guard, GuardState
from device.match import Match
from firmware_config.face import Reason
from firmware_config.roster import Person, Policy, Roster

FRESH_S: Final = 0.5
"""Oldest frame that may open, seconds (DESIGN.md section 4): who was there half a second ago still is."""

VOTE_SPAN_S: Final = 2.0
"""Votes further apart than this, seconds, are not one look at the camera."""

VISIT_GAP_S: Final = 1.0
"""No face for so long, seconds, ends a visit: longer than a blink of the detector, shorter than a queue's gap."""

VISIT_LIMIT_S: Final = 12.0
"""A visit is closed and counted after so long, seconds, so that guessing cannot hide in one endless visit.
A minute of near misses is then five of them: what `guard_misses` in `guard_window_s` means by default."""

QUALITY_PATIENCE_S: Final = 2.0
"""Frames that fail the quality gate refuse nobody for so long, seconds: that is how long walking up takes."""

NO_ROSTER_WINDOW: Final = 5
"""Frames until a door without a roster says so; Policy's default window."""

TELLING: Final = (Reason.LOCKED_DOWN, Reason.NOT_VALID_NOW, Reason.UNDER_GUARD, Reason.AMBIGUOUS, Reason.UNKNOWN_FACE)
"""Reasons of a judged frame, the one that says most first: it decides between reasons met equally often."""

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


class Decision(NamedTuple):
    """One visit's outcome, or a grant in it. Distances 0 to 2; None when nothing, or nobody else, was compared.

    observed_at: captured_at of the deciding frame. An unknown face has no person_id and no name.
    """

    outcome: Literal["granted", "denied"]
    reason: Reason
    person_id: str
    name: str
    distance: float | None
    runner_up: float | None
    hold_ms: int
    observed_at: float
    sequence: int


class _Ballot(NamedTuple):
    """A frame with a face, and what it says by the rule in force. GRANTED is a vote for `match.person_id`."""

    seen: Observation
    stale: bool
    says: Reason = Reason.STALE_FRAME

    @property
    def judged(self) -> bool:
        return self.says in TELLING or self.says in (Reason.GRANTED, Reason.NO_ROSTER)


@dataclass
class _Visit:
    began: float
    last_face: float
    ballots: list[_Ballot] = field(default_factory=list)
    faces: int = 0
    judged: int = 0
    near: Counter[str] = field(default_factory=Counter)
    granted: bool = False
    denied: Reason | None = None


class Decider:
    """Judges one door.

    Rules:
    - a vote is a frame with good quality, fresh when it came, whose nearest person is within tau (tau_strict
      while the guard is raised for them), is in the roster and valid now, and has no second person within tau and
      closer than the margin;
    - k of the latest n frames with a face must be votes for one person, at most VOTE_SPAN_S old, and the deciding
      frame must be one of them: then it opens;
    - each frame counts once: a sequence or a capture time that does not rise is as if it had not come;
    - a frame older than FRESH_S, or from the future, never opens;
    - whoever was granted is not granted again for the cool-down;
    - a visit ends when no face was seen for VISIT_GAP_S, or after VISIT_LIMIT_S. It is refused once, when n judged
      frames hold no vote, or after QUALITY_PATIENCE_S, or at its end when k frames were judged. A grant may still
      follow a refusal; no refusal follows a grant;
    - a visit that ends refused as unknown, with k frames within tau + near_miss_band of one person, is a near miss of
      theirs for the guard;
    - no roster: everybody is refused.
    k of n is the binary integration by which radars confirm a target (Skolnik, Introduction to Radar Systems).
    """

    def __init__(self, roster: Roster | None, guard: GuardState | None = None) -> None:
        self._restored = guard or GuardState()
        self._guard: Guard | None = None
        self._guard_changed = False
        self._visit: _Visit | None = None
        self._granted_at: dict[str, float] = {}
        self._last_sequence: int | None = None
        self._last_captured = float("-inf")
        self.adopt(roster)

    def adopt(self, roster: Roster | None) -> None:
        """Judge by this roster from the next frame on. Votes cast under another one are void; cool-downs stay."""
        self._roster = roster
        self._people: dict[str, Person] = {person.id: person for person in roster.people} if roster else {}
        if self._visit is not None:
            self._visit.ballots.clear()

    def guard_raised(self, now: float) -> bool:
        """True while tau is at its strict stop for somebody. now: monotonic seconds."""
        return self._guard_at(now).raised(now)

    def take_guard_change(self, now: float) -> GuardState | None:
        """What to save when the guard counted something since this was last asked, otherwise None."""
        changed, self._guard_changed = self._guard_changed, False
        return self._guard_at(now).state(now) if changed else None

    def step(self, seen: Observation, now: float, wall: datetime) -> Decision | None:
        """One frame -> a decision, or None when there is none yet.

        now: monotonic seconds, the clock of captured_at. wall: aware, for people's validity only.
        """
        if self._last_sequence is not None and seen.sequence <= self._last_sequence:
            return None
        if seen.captured_at <= self._last_captured:
            return None
        self._last_sequence, self._last_captured = seen.sequence, seen.captured_at
        refused = self._close_visit(seen.captured_at, now)
        if not seen.face:
            return refused
        visit = self._visit = self._visit or _Visit(seen.captured_at, seen.captured_at)
        visit.last_face = seen.captured_at
        visit.faces += 1
        stale = not 0 <= now - seen.captured_at <= FRESH_S
        recent = [b for b in visit.ballots if seen.captured_at - b.seen.captured_at <= VOTE_SPAN_S]
        recent = [*recent, _Ballot(seen, stale)][-self._window :]
        # All anew: the guard, the hour or the roster may say otherwise than when the frame came.
        visit.ballots = [_Ballot(b.seen, b.stale, self._says(b, now, wall)) for b in recent]
        newest = visit.ballots[-1]
        visit.judged += newest.judged
        if newest.judged and self._nearly(seen.match):
            visit.near[_person(newest)] += 1
        granted = self._grant(visit, newest, now)
        # A refusal of the visit before goes first: one a step, and a grant never waits.
        return granted or refused or self._refuse(visit, seen.captured_at)

    @property
    def _window(self) -> int:
        return self._roster.policy.votes_window if self._roster else NO_ROSTER_WINDOW

    @property
    def _needed(self) -> int:
        return self._roster.policy.votes_needed if self._roster else NO_ROSTER_WINDOW

    def _guard_at(self, now: float) -> Guard:
        if self._guard is None:
            self._guard = Guard(self._restored, now)
        return self._guard

    def _says(self, ballot: _Ballot, now: float, wall: datetime) -> Reason:
        if ballot.stale:
            return Reason.STALE_FRAME
        if ballot.seen.quality is not None:
            return ballot.seen.quality
        if self._roster is None:
            return Reason.NO_ROSTER
        return self._compare(ballot.seen.match, self._roster.policy, now, wall)

    def _compare(self, match: Match | None, policy: Policy, now: float, wall: datetime) -> Reason:
        """Comparisons are written so that a NaN refuses."""
        person = self._people.get(match.person_id) if match is not None else None
        if match is None or person is None or not match.distance <= policy.tau:
            return Reason.UNKNOWN_FACE
        if self._guard_at(now).raised_for(person.id, now) and not match.distance <= policy.tau_strict:
            return Reason.UNDER_GUARD
        rival = match.runner_up_distance
        if not (rival > policy.tau or rival - match.distance >= policy.margin):
            return Reason.AMBIGUOUS
        early = person.valid_from is not None and wall < person.valid_from
        late = person.valid_until is not None and wall >= person.valid_until
        if early or late:
            return Reason.NOT_VALID_NOW
        return Reason.LOCKED_DOWN if policy.locked_down else Reason.GRANTED

    def _grant(self, visit: _Visit, newest: _Ballot, now: float) -> Decision | None:
        if newest.says is not Reason.GRANTED or newest.seen.match is None or self._roster is None:
            return None
        person_id = newest.seen.match.person_id
        votes = [b for b in visit.ballots if b.says is Reason.GRANTED and _person(b) == person_id]
        if len(votes) < self._needed:
            return None
        policy = self._roster.policy
        # Whoever cools down is known and let in already: nothing more is to be said about this visit.
        visit.granted = True
        self._granted_at = {p: at for p, at in self._granted_at.items() if now - at < policy.cooldown_s}
        if person_id in self._granted_at:
            return None
        self._granted_at[person_id] = now
        visit.ballots = []
        return self._decision("granted", Reason.GRANTED, newest, policy.hold_ms)

    def _refuse(self, visit: _Visit, at: float) -> Decision | None:
        if visit.granted or visit.denied is not None:
            return None
        full = len(visit.ballots) == self._window
        hopeless = full and all(b.judged and b.says is not Reason.GRANTED for b in visit.ballots)
        patience_out = at - visit.began >= QUALITY_PATIENCE_S and visit.faces >= self._needed
        return self._denial(visit) if hopeless or patience_out else None

    def _denial(self, visit: _Visit) -> Decision | None:
        if not visit.ballots:
            return None
        visit.denied = _most_telling(visit.ballots)
        fitting = [b for b in visit.ballots if b.says is visit.denied] or visit.ballots
        return self._decision("denied", visit.denied, min(reversed(fitting), key=_distance), 0)

    def _close_visit(self, at: float, now: float) -> Decision | None:
        """End the visit where it has ended, count it, and refuse it now when it was not yet."""
        visit = self._visit
        if visit is None or (at - visit.last_face <= VISIT_GAP_S and at - visit.began <= VISIT_LIMIT_S):
            return None
        self._visit = None
        settled = visit.granted or visit.denied is not None or visit.judged < self._needed
        refused = None if settled else self._denial(visit)
        if self._roster and visit.denied is Reason.UNKNOWN_FACE and not visit.granted:
            for person_id in [who for who, frames in visit.near.items() if frames >= self._needed]:
                self._guard_at(now).near_miss(person_id, self._roster.policy, now)
                self._guard_changed = True
        return refused

    def _nearly(self, match: Match | None) -> bool:
        policy = self._roster.policy if self._roster else None
        return bool(policy and match and match.distance <= policy.tau + policy.near_miss_band)

    def _decision(
        self, outcome: Literal["granted", "denied"], reason: Reason, ballot: _Ballot, hold_ms: int
    ) -> Decision:
        match = ballot.seen.match if ballot.judged else None
        named = match if reason in ABOUT_SOMEBODY else None
        return Decision(
            outcome=outcome,
            reason=reason,
            person_id=named.person_id if named else "",
            name=named.name if named else "",
            distance=match.distance if match and isfinite(match.distance) else None,
            runner_up=match.runner_up_distance if match and isfinite(match.runner_up_distance) else None,
            hold_ms=hold_ms,
            observed_at=ballot.seen.captured_at,
            sequence=ballot.seen.sequence,
        )


def _person(ballot: _Ballot) -> str:
    return ballot.seen.match.person_id if ballot.seen.match is not None else ""


def _distance(ballot: _Ballot) -> float:
    return ballot.seen.match.distance if ballot.seen.match is not None else float("inf")


def _most_telling(ballots: list[_Ballot]) -> Reason:
    """The reason met most among judged frames; none judged: the newest frame's."""
    judged = [b for b in ballots if b.judged]
    if not judged:
        return ballots[-1].says
    voted_for = {_person(b) for b in judged if b.says is Reason.GRANTED}
    # Votes that did not suffice: for several people they contradict each other, for one they are too few.
    short = Reason.AMBIGUOUS if len(voted_for) > 1 else Reason.UNKNOWN_FACE
    counts = Counter(short if b.says is Reason.GRANTED else b.says for b in judged)
    order = [*TELLING, Reason.NO_ROSTER]
    return max(counts, key=lambda reason: (counts[reason], -order.index(reason)))
