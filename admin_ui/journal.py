"""What the doors have reported, in the store: each event once, however often it comes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from admin_ui.acts import record_act
from admin_ui.erasure import ERASED_NAME, erased_among
from admin_ui.models import DoorRow, EventRow, PersonRow
from admin_ui.sentences import at_the_door
from admin_ui.store import Store, find_door
from admin_ui.views import EventView
from firmware_config.messages import Event, EventDetail

MAX_EVENTS = 1000
"""Rows that one question may bring."""


class AuditSeen(BaseModel):
    """DoorRow.audit: the last head that the page saw of a door's audit. alarm: a sentence, "" while all is well."""

    seq: int = 0
    hash: str = ""
    alarm: str = ""


def keep_events(store: Store, door: str, events: Sequence[tuple[Event, EventDetail]]) -> int:
    """On disk when this returns -> how many were new. Raises BadState; then none was kept and none may be
    acknowledged.

    The person's name is the store's: doors know ids, and somebody erased meanwhile has no name any more.
    """
    unique = {event.id: (event, detail) for event, detail in events}
    with store.write() as session:
        query = select(EventRow.id).where(EventRow.door == door, EventRow.id.in_(list(unique)))
        for known in session.scalars(query):
            del unique[known]
        if not unique:
            return 0
        ids = {detail.person_id for _, detail in unique.values() if detail.person_id}
        names = {row.id: row.name for row in session.scalars(select(PersonRow).where(PersonRow.id.in_(ids)))}
        erased = erased_among(session, ids)
        for event, detail in unique.values():
            gone = detail.person_id in erased
            _check_head(session, door, detail.audit_seq, detail.audit_head)
            session.add(
                EventRow(
                    door=door,
                    id=event.id,
                    at=event.at,
                    outcome=event.outcome,
                    reason=event.reason,
                    person_id="" if gone else detail.person_id,
                    person=ERASED_NAME if gone else names.get(detail.person_id, detail.person),
                    distance=detail.distance,
                    audit_seq=detail.audit_seq,
                    audit_hash=detail.audit_head,
                    detail=detail.model_dump(mode="json", include={"runner_up", "quality", "stage_ms", "scene", "by"}),
                )
            )
    return len(unique)


def see_head(store: Store, door: str, seq: int, head: str, *, again: bool = False) -> bool:
    """A door said where its audit ends, live -> False when that is before what was seen of it.

    seq: 0 from a door that keeps none. again: its last word fell short too. One alone may be a word from before that a
    broken connection delivered late; two raise the alarm. Raises BadState, BadInput.
    """
    if not seq:
        return True
    with store.read() as session:
        seen = AuditSeen.model_validate(find_door(session, door).audit)
    if (seq, head) == (seen.seq, seen.hash):
        return True
    if seq < seen.seq and not again:
        return False
    with store.write() as session:
        row = find_door(session, door)
        last = AuditSeen.model_validate(row.audit).seq
        if seq < last:
            _alarm(session, row, f"its audit ends at record {seq}, but record {last} was seen: its end was cut off.")
            return False
        _check_head(session, door, seq, head)
        return True


def accept_head(store: Store, door: str, by: str) -> None:
    """An administrator has looked at a door's audit: begin to watch it anew. Raises BadInput."""
    with store.write() as session:
        row = find_door(session, door)
        row.audit = AuditSeen().model_dump(mode="json")
        session.execute(update(EventRow).where(EventRow.door == door).values(audit_seq=0, audit_hash=""))
        record_act(session, by, "accept_audit", door)


def _check_head(session: Session, door: str, seq: int, head: str) -> None:
    """One record of a door's audit, as the door now tells it, against what it told before."""
    if not seq:
        return
    row = find_door(session, door)
    seen = AuditSeen.model_validate(row.audit)
    other = select(EventRow.audit_hash).where(EventRow.door == door, EventRow.audit_seq == seq).limit(1)
    known = seen.hash if seq == seen.seq else session.scalar(other)
    if known and known != head:
        _alarm(session, row, f"record {seq} of its audit is not the one that it told of before: it was written anew.")
    elif seq > seen.seq:
        row.audit = seen.model_copy(update={"seq": seq, "hash": head}).model_dump(mode="json")
        session.flush()


def _alarm(session: Session, row: DoorRow, what: str) -> None:
    seen = AuditSeen.model_validate(row.audit)
    if seen.alarm:
        return
    sentence = f"{row.name}: {what} Run `latchkey-device audit verify --head {seen.seq}:{seen.hash}` there."
    row.audit = seen.model_copy(update={"alarm": sentence}).model_dump(mode="json")
    record_act(session, "door", "audit_alarm", sentence)


def newest_events(store: Store, door: str, limit: int) -> list[EventView]:
    """The newest first. door: "" for all. limit: 1 to MAX_EVENTS."""
    query = select(EventRow).order_by(EventRow.at.desc(), EventRow.id).limit(max(1, min(limit, MAX_EVENTS)))
    if door:
        query = query.where(EventRow.door == door)
    with store.read() as session:
        return [_view(row) for row in session.scalars(query)]


def _view(row: EventRow) -> EventView:
    detail = EventDetail.model_validate(row.detail or {})
    return EventView(
        id=row.id,
        door=row.door,
        at=row.at,
        outcome=row.outcome,
        reason=row.reason,
        sentence=at_the_door(row.reason),
        person=row.person,
        distance=row.distance,
        runner_up=detail.runner_up,
        by=detail.by,
        scene=detail.scene,
        stage_ms=detail.stage_ms,
    )
