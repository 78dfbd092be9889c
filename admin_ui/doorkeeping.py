"""What the office does about doors that it has: watch them, unlock them, set their thresholds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui import journal, people, tune
from admin_ui.acts import record_act
from admin_ui.link import Action
from admin_ui.models import DoorRow
from admin_ui.premises import Premises
from admin_ui.scale import Scale
from admin_ui.sentences import at_the_door
from admin_ui.store import find_door, utc_now
from admin_ui.views import Change, DoorOffline, DoorView, EventView, ThresholdView, UnlockAnswer
from firmware_config.errors import BadInput
from firmware_config.roster import Policy

RECENT_EVENTS: Final = 200
"""Dots in the threshold's picture: more would hide its curves."""

LEAP: Final = 100_000
"""Lists that a store may have sent after its backup: one every five minutes for a year."""

FOLLOWS: Final = "It follows the number of people at this door until somebody sets it."

MOST_FPIR: Final = 0.01
"""One stranger in a hundred: whoever wants more has no use for a lock."""

MOST_DAYS: Final = 36_500
"""A hundred years."""


class Doorkeeping(Premises):
    """Doors. service.Office says what all methods have in common."""

    def doors(self) -> list[DoorView]:
        """All, by name."""
        with self.store.read() as session:
            return [self._door_view(session, row) for row in session.scalars(select(DoorRow).order_by(DoorRow.name))]

    def door(self, name: str) -> DoorView:
        """Raises BadInput where there is no such door."""
        with self.store.read() as session:
            return self._door_view(session, find_door(session, name))

    def _door_view(self, session: Session, row: DoorRow) -> DoorView:
        tau = self._scale(session, row).at_door(Policy.model_validate(row.policy)).tau
        return replace(self._desk.view(session, row), tau=tau)

    def wait_applied(self, door: str, generation: int, timeout_s: float = 10.0) -> DoorView:
        """Wait until the door runs this generation or a later one, or refused it, or the time is over: look at
        DoorView.applied_generation and .refused."""
        self._desk.wait_applied(door, generation, timeout_s)
        return self.door(door)

    def unlock(self, door: str, by: str, why: str = "") -> UnlockAnswer:
        """Ask the door to unlock now. Raises DoorOffline when it cannot be asked or does not answer in 3 s."""
        with self.store.write() as session:
            find_door(session, door)
            record_act(session, by, "unlock", f"{door}: {why[:256]}" if why else door)
        answer = self.link.ask(door, "unlock", by, why)
        sentence = f"{door} is unlocked." if answer.ok else answer.sentence or f"{door} refused: {answer.reason}."
        return UnlockAnswer(answer.ok, answer.reason, sentence)

    def look_through(self, door: str, by: str) -> bytes:
        """The camera's picture of now, a JPEG; kept nowhere. Raises DoorOffline when it cannot be asked or does not
        answer in 3 s, or its camera gives none."""
        return self._picture(door, by, "look")

    def best_face(self, door: str, by: str) -> bytes:
        """The best picture of whoever stands before the door's camera, of its last three seconds, a JPEG to be approved
        and enrolled; kept nowhere. Raises DoorOffline as look_through does, and where nobody stands there."""
        return self._picture(door, by, "face")

    def _picture(self, door: str, by: str, action: Action) -> bytes:
        with self.store.write() as session:
            find_door(session, door)
            record_act(session, by, "look_through", door if action == "look" else f"{door}, to enrol")
        answer = self.link.ask(door, action, by)
        if not answer.ok or not answer.image:
            known = at_the_door(answer.reason) if answer.reason == "nobody_there" else answer.sentence
            raise DoorOffline(known or f"{door} gives no picture: {answer.reason}.")
        return answer.image

    def lock_down(self, door: str, by: str, why: str = "") -> Change:
        """Let nobody in at this door, by face, page or Home Assistant, until it is released; a door that is away learns
        of it when it is back. Raises BadInput."""
        return self._lock_down(door, True, by, why)

    def release(self, door: str, by: str, why: str = "") -> Change:
        """End a lockdown. Raises BadInput."""
        return self._lock_down(door, False, by, why)

    def _lock_down(self, door: str, down: bool, by: str, why: str) -> Change:
        said = f"{door} is locked down: it lets nobody in." if down else f"{door} is released: it lets people in again."
        with self._changing:
            with self.store.write() as session:
                row = find_door(session, door)
                policy = Policy.model_validate(row.policy)
                self._desk.roll(session, [row], policy.model_copy(update={"locked_down": down}))
                record_act(session, by, "lock_down" if down else "release", f"{door}: {why[:256]}" if why else door)
            news = self._desk.send([door])
        return Change(said, news)

    def overtake(self, by: str, why: str) -> int:
        """Number every door's list past any that it may have had from a store that is lost -> how many doors.

        A door takes no list with a lower number than it has run. Nothing is sent: the page does when it starts.
        """
        with self._changing, self.store.write() as session:
            rows = session.scalars(select(DoorRow).order_by(DoorRow.name)).all()
            for row in rows:
                row.generation += LEAP
            self._desk.roll(session, rows)
            record_act(session, by, "overtake", why)
        return len(rows)

    def events(self, door: str = "", limit: int = 50) -> list[EventView]:
        """The newest first. door: "" for all."""
        return journal.newest_events(self.store, door, limit)

    def prune_events(self, older_than_days: int, by: str) -> int:
        """Delete what happened before so many days -> how many events. Raises BadInput unless it is 1 to MOST_DAYS."""
        if not 1 <= older_than_days <= MOST_DAYS:
            raise BadInput(f"Give a number of days from 1 to {MOST_DAYS}, not {older_than_days}; today's events stay.")
        return journal.prune_events(self.store, utc_now() - timedelta(days=older_than_days), by)

    def threshold(self, door: str) -> ThresholdView:
        """What to draw for a door. Raises BadInput where there is none."""
        recent = journal.newest_events(self.store, door, RECENT_EVENTS)
        distances = [(one.distance, one.outcome) for one in recent if one.distance is not None]
        scale, policy = self._rule(door)
        return tune.threshold_view(door, scale.at_door(policy), scale.calibration, distances)

    def explain_tau(self, door: str, tau: float) -> str:
        """What this threshold would mean, for a person: false matches and false rejections in whole numbers."""
        with self.store.read() as session:
            row = find_door(session, door)
            count, scale = people.count_people(session, row.name), self._scale(session, row)
            policy = scale.at_door(Policy.model_validate(row.policy))
        sentences = tune.explain(scale.calibration, tau, count)
        return f"{sentences} {FOLLOWS}" if policy.fpir is not None and tau == policy.tau else sentences

    def set_tau(self, door: str, tau: float, by: str) -> Change:
        """Change a door's threshold and send it; from then on it does not follow the number of people. Raises BadInput
        outside the slider's range, DoorOffline while the door cannot be reached: then nothing is changed."""
        with self._changing:
            scale, policy = self._rule(door)
            before = scale.at_door(policy).tau
            low, high = tune.slider_range(scale.calibration, before)
            if not low <= tau <= high:
                raise BadInput(f"The threshold goes from {low:g} to {high:g}, not to {tau:g}. Nothing was changed.")
            if not self.link.presence(door).online:
                raise DoorOffline(
                    f"{door} is offline, so its threshold stays at {before:.3f}. Nothing was changed; move the "
                    "slider again when the door is back."
                )
            with self.store.write() as session:
                row = find_door(session, door)
                row.policy_before = row.policy
                changed = scale.in_list(Policy.model_validate(row.policy), tau).model_copy(update={"fpir": None})
                self._desk.roll(session, [row], changed)
                tau = scale.at_door(changed).tau
                record_act(session, by, "set_tau", f"{door}: {before:.3f} -> {tau:.3f}")
            news = self._desk.send([door])
        return Change(f"The threshold of {door} is {tau:.3f}.", news)

    def follow_gallery(self, door: str, fpir: float, by: str) -> Change:
        """Have a door's threshold follow the number of its people, so that one picture of a stranger opens at most with
        the chance `fpir`, from now on and with every list. Raises BadInput unless it is above 0 and at most 0.01."""
        if not 0.0 < fpir <= MOST_FPIR:
            raise BadInput(f"A chance for strangers is above 0 and at most {MOST_FPIR:g}, not {fpir:g}.")
        with self._changing:
            with self.store.write() as session:
                row = find_door(session, door)
                policy, scale = Policy.model_validate(row.policy), self._scale(session, row)
                self._desk.roll(session, [row], policy.model_copy(update={"fpir": fpir}))
                before, tau = scale.at_door(policy).tau, scale.at_door(Policy.model_validate(row.policy)).tau
                record_act(session, by, "follow_gallery", f"{door}: {fpir:g}, {before:.3f} -> {tau:.3f}")
            news = self._desk.send([door])
        return Change(f"The threshold of {door} is {tau:.3f}. {FOLLOWS}", news)

    def may_home_assistant_unlock(self, door: str) -> bool:
        """Raises BadInput where there is no such door."""
        return self._policy(door).allow_home_assistant_unlock

    def let_home_assistant_unlock(self, door: str, allowed: bool, by: str) -> Change:
        """Let Home Assistant lock and unlock this door, or end that. Raises BadInput where there is no such door."""
        said = f"Home Assistant {'may' if allowed else 'may not'} unlock {door}."
        with self._changing:
            with self.store.write() as session:
                row = find_door(session, door)
                policy = Policy.model_validate(row.policy)
                self._desk.roll(session, [row], policy.model_copy(update={"allow_home_assistant_unlock": allowed}))
                record_act(session, by, "home_assistant", said)
            news = self._desk.send([door])
        return Change(said, news)

    def audit_heads(self) -> dict[str, journal.AuditSeen]:
        """Door -> what the page saw last of its audit, by name."""
        with self.store.read() as session:
            rows = session.scalars(select(DoorRow).order_by(DoorRow.name))
            return {row.name: journal.AuditSeen.model_validate(row.audit) for row in rows}

    def accept_audit(self, door: str, by: str) -> None:
        """Watch a door's audit from here on anew: after its alarm was looked into, or its disk was exchanged."""
        journal.accept_head(self.store, door, by)

    def _rule(self, door: str) -> tuple[Scale, Policy]:
        """The door's scale, and the rule of its list."""
        with self.store.read() as session:
            row = find_door(session, door)
            return self._scale(session, row), Policy.model_validate(row.policy)

    def _policy(self, door: str) -> Policy:
        with self.store.read() as session:
            return Policy.model_validate(find_door(session, door).policy)
