"""What happened at the doors, asked for: filtered, explained, exported, and whether the records are whole."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, Select, func, select

from admin_ui import csvtext, journal, portraits
from admin_ui.acts import record_act
from admin_ui.enrol import crop_array
from admin_ui.models import DoorRow, EventRow
from admin_ui.premises import Premises
from admin_ui.store import find_door
from admin_ui.views import EventView
from device.occlusion import occlusion_map
from device.quality import DOOR_GATE
from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.events import EventDetail
from firmware_config.face import FloatArray, ImageArray
from firmware_config.roster import Policy

MOST_EXPORTED: Final = 100_000
"""Rows of one download: what spreadsheets still open (Excel takes 1,048,576), and 20 MB at the most."""
OUTCOMES: Final = ("granted", "denied", "notice")
GATES: Final[dict[str, tuple[str, float]]] = {
    "eye_distance_px": ("at least", DOOR_GATE.min_eye_distance_px),
    "sharpness": ("at least", DOOR_GATE.min_sharpness),
    "yaw": ("at most", DOOR_GATE.max_yaw),
    "elongation": ("at most", DOOR_GATE.max_elongation),
    "inside": ("at least", DOOR_GATE.min_inside),
    "score": ("at least", DOOR_GATE.min_score),
}
"""What the door's gate asks of a measure, by the measure's name; those with two limits are told without."""
EXPORT_HEAD: Final = (
    *("time (UTC)", "door", "outcome", "reason", "sentence", "person", "distance", "runner_up", "by", "why"),
    "audit record",
)


@dataclass(frozen=True)
class EventQuery:
    """Which events; empty fields let all pass. person: a part of the name. first, last: aware, last excluded."""

    door: str = ""
    person: str = ""
    reason: str = ""
    outcome: str = ""
    first: datetime | None = None
    last: datetime | None = None
    limit: int = 100


@dataclass(frozen=True)
class Measure:
    """One number of the quality gate. limit: words, "" where there is no single one."""

    name: str
    value: float
    limit: str
    kept: bool


@dataclass(frozen=True)
class Why:
    """What stands behind one event. tau: the door's threshold of now. looked: uint8[112, 112, 3] RGB, the kept
    enrolment photo of the person, and where: float32[112, 112], what of it moves the encoder; None where none
    is kept."""

    event: EventView
    tau: float | None
    sentences: tuple[str, ...]
    measures: tuple[Measure, ...] = ()
    looked: ImageArray | None = None
    where: FloatArray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Whole:
    """One record that was checked."""

    ok: bool
    sentence: str


class Chronicle(Premises):
    """Events. service.Office says what all methods have in common."""

    def find_events(self, wanted: EventQuery) -> tuple[list[EventView], int]:
        """The newest first, at most wanted.limit -> and how many there are in all. Raises BadInput."""
        rules = _rules(wanted)
        with self.store.read() as session:
            total = session.scalar(select(func.count()).select_from(EventRow).where(*rules)) or 0
            query = _newest(rules).limit(max(1, min(wanted.limit, journal.MAX_EVENTS)))
            return [journal.view(row) for row in session.scalars(query)], total

    def event_why(self, door: str, event_id: str) -> Why:
        """Raises BadInput where there is no such event (any more)."""
        with self.store.read() as session:
            row = session.get(EventRow, (door, event_id))
            if row is None:
                raise BadInput("This event is not in the store (any more). Reload the page.")
            event, quality = journal.view(row), EventDetail.model_validate(row.detail or {}).quality
            place = session.get(DoorRow, door)
            tau = Policy.model_validate(place.policy).tau if place is not None else None
            crop = self._kept_crop(row.person_id)
        looked = where = None
        if crop is not None:
            looked = crop_array(crop)
            where = occlusion_map(self._sight.current().eyes.embed_array, looked, looked)
        return Why(event, tau, tuple(_explained(event, tau)), tuple(_measures(quality)), looked, where)

    def _kept_crop(self, person_id: str) -> bytes | None:
        if not person_id:
            return None
        try:
            with self.store.read() as session:
                return portraits.portrait_png(session, person_id, self._keyring.store)
        except LatchkeyError:
            return None  # none is kept, or they were erased meanwhile: the rest is explained all the same

    def export_events(self, wanted: EventQuery, by: str) -> bytes:
        """CSV, the newest first, MOST_EXPORTED rows at most. Raises BadInput."""
        rules = _rules(wanted)
        # So many rows take seconds: nobody who unlocks a door or logs in waits for them.
        with self.store.read() as session:
            rows = session.scalars(_newest(rules).limit(MOST_EXPORTED)).all()
        table = csvtext.table(EXPORT_HEAD, [(*_cells(journal.view(row)), row.audit_seq or None) for row in rows])
        with self.store.write() as session:
            record_act(session, by, "export_events", f"{len(rows)} rows, {_told(wanted)}")
        return table

    def verify_audit(self) -> list[Whole]:
        """Is the record of acts whole, and what was seen of every door's audit? A sentence each, worst first."""
        found = []
        with self.store.read() as session:
            try:
                head = self.witness.verify(session)
                found.append(Whole(True, f"The record of acts is whole: {head.count} acts, chained, none missing."))
            except LatchkeyError as error:
                found.append(Whole(False, str(error)))
            for name in session.scalars(select(DoorRow.name).order_by(DoorRow.name)).all():
                seen = journal.AuditSeen.model_validate(find_door(session, name).audit)
                kept = select(func.count()).select_from(EventRow).where(EventRow.door == name, EventRow.audit_seq > 0)
                events = session.scalar(kept) or 0
                if seen.alarm:
                    found.append(Whole(False, seen.alarm))
                elif not seen.seq:
                    found.append(Whole(True, f"The audit of {name}: nothing was heard of it yet."))
                else:
                    well = f"last seen at record {seen.seq}, and none of {events} events contradicts it."
                    found.append(Whole(True, f"The audit of {name}: {well}"))
        return sorted(found, key=lambda one: one.ok)


def _rules(wanted: EventQuery) -> list[ColumnElement[bool]]:
    if wanted.outcome and wanted.outcome not in OUTCOMES:
        raise BadInput(f"There is no such outcome; choose one of {', '.join(OUTCOMES)}.")
    rules: list[ColumnElement[bool]] = []
    for column, value in (
        (EventRow.door, wanted.door),
        (EventRow.reason, wanted.reason),
        (EventRow.outcome, wanted.outcome),
    ):
        if value:
            rules.append(column == value)
    if wanted.person.strip():
        name = unicodedata.normalize("NFC", " ".join(wanted.person.split()))
        rules.append(EventRow.person.icontains(name, autoescape=True))
    if wanted.first is not None:
        rules.append(EventRow.at >= wanted.first)
    if wanted.last is not None:
        rules.append(EventRow.at < wanted.last)
    return rules


def _newest(rules: list[ColumnElement[bool]]) -> Select[EventRow]:
    return select(EventRow).where(*rules).order_by(EventRow.at.desc(), EventRow.id)


def _cells(event: EventView) -> tuple[Any, ...]:
    at = event.at.strftime("%Y-%m-%d %H:%M:%S")
    known = (event.person, event.distance, event.runner_up, event.by, event.why)
    return at, event.door, event.outcome, event.reason, event.sentence, *known


def _told(wanted: EventQuery) -> str:
    """Names nobody: the record of acts outlives people."""
    asked = {"door": wanted.door, "reason": wanted.reason, "outcome": wanted.outcome}
    told = [f"{name} {value[:64]}" for name, value in asked.items() if value]
    return ", ".join([*told, *(["one person's"] if wanted.person.strip() else [])]) or "all"


def _explained(event: EventView, tau: float | None) -> list[str]:
    if event.distance is None:
        if event.outcome == "denied":
            return ["No face of this visit was good enough to be compared, so there is no distance."]
        return []
    who = event.person or "the nearest person who is enrolled at this door"
    told = [f"The distance to {who} was {event.distance:.3f} (0 is the same picture, 2 is the opposite)."]
    if tau is not None:
        side = "within" if event.distance <= tau else "beyond"
        told.append(f"That is {side} the threshold of now, {tau:.3f}, by {abs(tau - event.distance):.3f}.")
    if event.runner_up is not None:
        told.append(f"The next person was at {event.runner_up:.3f}, {event.runner_up - event.distance:.3f} further.")
    return told


def _measures(quality: dict[str, float]) -> list[Measure]:
    found = []
    for name, value in quality.items():
        words, limit = GATES.get(name, ("", 0.0))
        kept = not words or (value >= limit if words == "at least" else abs(value) <= limit)
        found.append(Measure(name, float(np.float64(value)), f"{words} {limit:g}" if words else "", kept))
    return found
