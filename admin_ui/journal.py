"""What the doors have reported, in the store: each event once, however often it comes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from admin_ui.acts import record_act
from admin_ui.erasure import ERASED_NAME, erased_among
from admin_ui.models import DoorRow, EventRow, PersonRow
from admin_ui.sentences import at_the_door
from admin_ui.store import Store, StoreDown, find_door
from admin_ui.views import EventView
from firmware_config.chain import Head
from firmware_config.errors import LatchkeyError
from firmware_config.events import Event, EventDetail

log = logging.getLogger("latchkey.page.journal")

MAX_EVENTS = 1000
"""Rows that one question may bring."""

PRUNED_AT_ONCE: Final = 5000
"""Events to a transaction: below a second, and other writers wait for five."""

KEPT_DETAIL: Final = {"runner_up", "quality", "stage_ms", "scene", "by", "why"}
"""What an event's row keeps as JSON; the rest has columns of its own."""

UNFIT: Final = (LatchkeyError, SQLAlchemyError, ValueError, ArithmeticError)
"""What one event can be refused with: no such door, a number or a character that the database does not have."""


class AuditSeen(BaseModel):
    """DoorRow.audit: the last head that the page saw of a door's audit. alarm: a sentence, "" while all is well."""

    seq: int = 0
    hash: str = ""
    alarm: str = ""


Told = dict[str, list[tuple[Event, EventDetail]]]
"""Door -> what it told, in its order."""


def keep_what_can_be_kept(store: Store, told: Told) -> Told:
    """Keep these events in one transaction -> those that are kept now, or were before.

    One that the store cannot take (a door with a key can seal anything) must not hold up the others: after a refusal
    each is tried by itself. Raises StoreDown; then what was kept is not known, and nothing may be acknowledged.
    """
    try:
        keep_events(store, told)
    except StoreDown:
        raise
    except UNFIT:
        return _keep_one_by_one(store, told)
    return told


def _keep_one_by_one(store: Store, told: Told) -> Told:
    kept: Told = {}
    for door, events in told.items():
        for event, detail in events:
            try:
                keep_events(store, {door: [(event, detail)]})
            except StoreDown:
                raise
            except UNFIT as error:
                log.warning("Event %s of %s cannot be kept: %s", event.id, door, error)
            else:
                kept.setdefault(door, []).append((event, detail))
    return kept


def keep_events(store: Store, told: Told) -> int:
    """On disk when this returns -> how many were new. Raises BadState, BadInput; then none was kept.

    The person's name is the store's: doors know ids, and somebody erased meanwhile has no name any more.
    """
    if not any(told.values()):
        return 0
    with store.write() as session:
        return sum(_keep(session, door, events) for door, events in told.items())


def _keep(session: Session, door: str, events: Sequence[tuple[Event, EventDetail]]) -> int:
    unique = {event.id: (event, detail) for event, detail in events}
    query = select(EventRow.id).where(EventRow.door == door, EventRow.id.in_(list(unique)))
    for known in session.scalars(query):
        del unique[known]
    if not unique:
        return 0
    heads = [Head(detail.audit_seq, detail.audit_head) for _, detail in unique.values()]
    # What a door is about to prune is a record that it told of before, if that was an event.
    heads += [Head.parse(detail.prune) for _, detail in unique.values() if detail.prune]
    _check_heads(session, door, heads)
    ids = {detail.person_id for _, detail in unique.values() if detail.person_id}
    people = select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_(ids))
    names = {row.id: row.name for row in session.execute(people)}
    erased = erased_among(session, ids)
    rows = [_row(door, event, detail, names, detail.person_id in erased) for event, detail in unique.values()]
    session.execute(insert(EventRow), rows)
    return len(rows)


def _row(door: str, event: Event, detail: EventDetail, names: Mapping[str, str], gone: bool) -> dict[str, Any]:
    """names: a person's id -> their name. gone: this one was erased."""
    return {
        "door": door,
        "id": event.id,
        "at": event.at,
        "outcome": event.outcome,
        "reason": event.reason,
        "person_id": "" if gone else detail.person_id,
        "person": ERASED_NAME if gone else names.get(detail.person_id, detail.person),
        "distance": detail.distance,
        "audit_seq": detail.audit_seq,
        "audit_hash": detail.audit_head,
        "detail": detail.model_dump(mode="json", include=KEPT_DETAIL),
    }


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
        seen = AuditSeen.model_validate(row.audit)
        if seq < seen.seq:
            what = f"its audit ends at record {seq}, but record {seen.seq} was seen: its end was cut off."
            row.audit = _alarmed(session, row, seen, what).model_dump(mode="json")
            return False
        _check_heads(session, door, [Head(seq, head)])
        return True


def accept_head(store: Store, door: str, by: str) -> None:
    """An administrator has looked at a door's audit: begin to watch it anew. Raises BadInput."""
    with store.write() as session:
        row = find_door(session, door)
        row.audit = AuditSeen().model_dump(mode="json")
        session.execute(update(EventRow).where(EventRow.door == door).values(audit_seq=0, audit_hash=""))
        record_act(session, by, "accept_audit", door)


def _check_heads(session: Session, door: str, told: Iterable[Head]) -> None:
    """Records of a door's audit, as the door now tells them, against what it told before."""
    heads = [head for head in told if head.count]
    if not heads:
        return
    row = find_door(session, door)
    seen = AuditSeen.model_validate(row.audit)
    seqs = {head.count for head in heads}
    query = select(EventRow.audit_seq, EventRow.audit_hash).where(EventRow.door == door, EventRow.audit_seq.in_(seqs))
    before = {row.audit_seq: row.audit_hash for row in session.execute(query) if row.audit_hash}
    if seen.hash:
        before[seen.seq] = seen.hash
    for head in heads:
        if before.setdefault(head.count, head.hash) != head.hash:
            what = f"record {head.count} of its audit is not the one that it told of before: it was written anew."
            seen = _alarmed(session, row, seen, what)
        elif head.count > seen.seq:
            seen = seen.model_copy(update={"seq": head.count, "hash": head.hash})
    row.audit = seen.model_dump(mode="json")
    session.flush()


def _alarmed(session: Session, row: DoorRow, seen: AuditSeen, what: str) -> AuditSeen:
    if seen.alarm:
        return seen
    sentence = f"{row.name}: {what} Run `latchkey-device audit verify --head {seen.seq}:{seen.hash}` there."
    record_act(session, "door", "audit_alarm", sentence)
    return seen.model_copy(update={"alarm": sentence})


def newest_events(store: Store, door: str, limit: int) -> list[EventView]:
    """The newest first. door: "" for all. limit: 1 to MAX_EVENTS."""
    query = select(EventRow).order_by(EventRow.at.desc(), EventRow.id).limit(max(1, min(limit, MAX_EVENTS)))
    if door:
        query = query.where(EventRow.door == door)
    with store.read() as session:
        return [view(row) for row in session.scalars(query)]


def view(row: EventRow) -> EventView:
    """A row as it is shown."""
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
        why=detail.why,
        scene=detail.scene,
        stage_ms=detail.stage_ms,
    )


def prune_events(store: Store, before: datetime, by: str) -> int:
    """Delete the events of all doors from before a time -> how many. before: aware.

    In pieces, so that the page goes on writing beside it; cut off in the middle, the oldest are gone and the record of
    acts says nothing yet. Whether a door tells one of its records otherwise than before is then known only for those
    that are left, and by the door's last head, which stays. Raises BadState.
    """
    gone = 0
    old = select(EventRow.at).where(EventRow.at < before).order_by(EventRow.at)
    while True:
        with store.write() as session:
            # The last of a piece, with all that bear the same time; fewer than a piece: all that are left.
            last = session.scalar(old.offset(PRUNED_AT_ONCE - 1).limit(1))
            these = EventRow.at < before if last is None else EventRow.at <= last
            found = session.scalar(select(func.count()).select_from(EventRow).where(these)) or 0
            session.execute(delete(EventRow).where(these))
            gone += found
            if last is None:
                record_act(session, by, "prune_events", f"{gone} before {before:%Y-%m-%d %H:%M} UTC")
                break
    store.compact()
    return gone
