"""The judgement: frames that were looked at -> who is let in, and why not. A pure state machine, no I/O."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Final, Literal, NamedTuple

from device.guard import Guard, GuardState
from device.match import Match
from device.visit import ABOUT_SOMEBODY, JUDGED, Ballot, Observation, Visit, most_telling
from firmware_config.face import Reason
from firmware_config.roster import Person, Policy, Roster

__all__ = ["FRESH_S", "Decider", "Decision", "Observation"]

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

RETRY_S: Final = 1.0
"""Whoever was granted, but the lock could not be told, is granted again after so long, seconds: a lock that is back is
asked at once, and one that stays away is no record with every frame."""

NO_ROSTER_WINDOW: Final = 5
"""Frames until a door without a roster says so; Policy's default window."""


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
    - whoever was granted is not granted again for the cool-down, or for RETRY_S when nothing opened;
    - a visit ends when no face was seen for VISIT_GAP_S, or after VISIT_LIMIT_S. It is refused once, when n judged
      frames hold no vote, or after QUALITY_PATIENCE_S, or at its end when k frames were judged. If that was because it
      could not be judged, it is refused once more, by what is judged after that. A grant may still follow a refusal;
      no refusal follows a grant;
    - a visit that ends refused, and not about somebody, with k frames within tau + near_miss_band of one person, is a
      near miss of theirs for the guard;
    - no roster: everybody is refused.
    k of n is the binary integration by which radars confirm a target (Skolnik, Introduction to Radar Systems).
    """

    def __init__(self, roster: Roster | None, guard: GuardState | None = None) -> None:
        self._restored = guard or GuardState()
        self._guard: Guard | None = None
        self._guard_changed = False
        self._visit: Visit | None = None
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

    def not_opened(self, person_id: str, now: float) -> None:
        """A grant of just now opened nothing: they are not kept waiting for the cool-down. now: monotonic seconds."""
        if person_id in self._granted_at and self._roster is not None:
            early = now + RETRY_S - self._roster.policy.cooldown_s
            self._granted_at[person_id] = min(self._granted_at[person_id], early)

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
        visit = self._visit = self._visit or Visit(seen.captured_at, seen.captured_at)
        visit.last_face = seen.captured_at
        visit.faces += 1
        stale = not 0 <= now - seen.captured_at <= FRESH_S
        recent = [b for b in visit.ballots if seen.captured_at - b.seen.captured_at <= VOTE_SPAN_S]
        recent = [*recent, Ballot(seen, stale)][-self._window :]
        # All anew: the guard, the hour or the roster may say otherwise than when the frame came.
        visit.ballots = [Ballot(b.seen, b.stale, self._says(b, now, wall)) for b in recent]
        newest = visit.ballots[-1]
        visit.judged += newest.judged
        if newest.judged and self._nearly(seen.match):
            visit.near[newest.person_id] += 1
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

    def _says(self, ballot: Ballot, now: float, wall: datetime) -> Reason:
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

    def _grant(self, visit: Visit, newest: Ballot, now: float) -> Decision | None:
        if newest.says is not Reason.GRANTED or newest.seen.match is None or self._roster is None:
            return None
        person_id = newest.seen.match.person_id
        votes = [b for b in visit.ballots if b.says is Reason.GRANTED and b.person_id == person_id]
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

    def _refuse(self, visit: Visit, at: float) -> Decision | None:
        if visit.settled:
            return None
        full = len(visit.ballots) == self._window
        hopeless = full and all(b.judged and b.says is not Reason.GRANTED for b in visit.ballots)
        waited = at - visit.began >= QUALITY_PATIENCE_S and visit.faces >= self._needed
        patience_out = waited and visit.denied is None
        return self._denial(visit) if hopeless or patience_out else None

    def _denial(self, visit: Visit) -> Decision | None:
        reason = most_telling(visit.ballots) if visit.ballots else None
        if reason is None or (visit.denied is not None and reason not in JUDGED):
            return None
        visit.denied = reason
        fitting = [b for b in visit.ballots if b.says is reason] or visit.ballots
        return self._decision("denied", reason, min(reversed(fitting), key=lambda ballot: ballot.distance), 0)

    def _close_visit(self, at: float, now: float) -> Decision | None:
        """End the visit where it has ended, count it, and refuse it now when what was judged in it was not yet."""
        visit = self._visit
        if visit is None or (at - visit.last_face <= VISIT_GAP_S and at - visit.began <= VISIT_LIMIT_S):
            return None
        self._visit = None
        settled = visit.settled or visit.judged < self._needed
        refused = None if settled else self._denial(visit)
        # A refusal that is about somebody says who they are: no guess. All others, poor frames too, hide none.
        if self._roster and not visit.granted and visit.denied not in (None, *ABOUT_SOMEBODY):
            for person_id in [who for who, frames in visit.near.items() if frames >= self._needed]:
                self._guard_at(now).near_miss(person_id, self._roster.policy, now)
                self._guard_changed = True
        return refused

    def _nearly(self, match: Match | None) -> bool:
        policy = self._roster.policy if self._roster else None
        return bool(policy and match and match.distance <= policy.tau + policy.near_miss_band)

    def _decision(
        self, outcome: Literal["granted", "denied"], reason: Reason, ballot: Ballot, hold_ms: int
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
