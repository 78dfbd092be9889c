"""What the doors have reported, in the store: each event once, however often it comes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from admin_ui.models import EventRow
from admin_ui.sentences import at_the_door
from admin_ui.store import Store
from admin_ui.views import EventView
from firmware_config.messages import Event, EventDetail

MAX_EVENTS = 1000
"""Rows that one question may bring."""


def keep_events(store: Store, door: str, events: Sequence[tuple[Event, EventDetail]]) -> int:
    """On disk when this returns -> how many were new. Raises BadState; then none was kept and none may be
    acknowledged."""
    unique = {event.id: (event, detail) for event, detail in events}
    with store.write() as session:
        query = select(EventRow.id).where(EventRow.door == door, EventRow.id.in_(list(unique)))
        for known in session.scalars(query):
            del unique[known]
        session.add_all(
            EventRow(
                door=door,
                id=event.id,
                at=event.at,
                outcome=event.outcome,
                reason=event.reason,
                person_id=detail.person_id,
                person=detail.person,
                distance=detail.distance,
                detail=detail.model_dump(mode="json", include={"runner_up", "quality", "stage_ms", "scene", "by"}),
            )
            for event, detail in unique.values()
        )
    return len(unique)


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
