"""Events as a door would have told them, put into an office's store."""

from __future__ import annotations

from datetime import datetime

from admin_ui.journal import keep_events
from admin_ui.service import Office
from admin_ui.store import utc_now
from firmware_config.events import Event, EventDetail


class Happenings:
    """tell(...): one event of a door, numbered."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._number = 0

    def tell(
        self,
        reason: str = "granted",
        *,
        door: str = "front",
        at: datetime | None = None,
        person: str = "",
        person_id: str = "",
        distance: float | None = None,
        runner_up: float | None = None,
        quality: dict[str, float] | None = None,
        by: str = "",
        why: str = "",
    ) -> str:
        """-> its id. at: none for now."""
        self._number += 1
        outcome = "granted" if reason == "granted" else "notice" if "unlock" in reason else "denied"
        event = Event(id=f"{self._number:032x}", at=at or utc_now(), outcome=outcome, reason=reason)  # type: ignore[arg-type]
        detail = EventDetail(
            person=person,
            person_id=person_id,
            distance=distance,
            runner_up=runner_up,
            quality=quality or {},
            by=by,
            why=why,
            audit_seq=self._number,
            audit_head=f"{self._number:064x}",
        )
        assert keep_events(self._office.store, {door: [(event, detail)]}) == 1
        return event.id
