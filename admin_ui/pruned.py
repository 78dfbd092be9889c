"""Whether a door may remove the oldest records of its audit: the page keeps its end, so the page agrees."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Final

from admin_ui.journal import AuditSeen
from admin_ui.store import Store, find_door
from firmware_config.chain import Head
from firmware_config.events import Event, EventDetail

log = logging.getLogger("latchkey.page.pruned")

CLOCK_OFF: Final = timedelta(days=1)
"""A door whose clock is further off than this would take young records for old ones."""


def may_prune(store: Store, door: str, event: Event, detail: EventDetail, now: datetime | None = None) -> bool:
    """After the event was stored. event: by which the door asks. now: aware; the time when left out. Raises BadState.

    - the page's kept head covers the record that tells of the pruning, so that it is missed when it goes;
    - no alarm about this door's audit is open: what is pruned could be what somebody has to look at;
    - the door's clock is right, by this page's.
    """
    try:
        through = Head.parse(detail.prune)
    except ValueError:
        return False
    with store.read() as session:
        seen = AuditSeen.model_validate(find_door(session, door).audit)
    why = ""
    if seen.alarm:
        why = "an alarm about its audit is open: look into it, then `latchkey-admin audit accept`"
    elif not through.count < detail.audit_seq <= seen.seq:
        why = "what it told of its audit does not cover it"
    elif abs(event.at - (now or datetime.now(timezone.utc))) > CLOCK_OFF:
        why = "its clock and this machine's are more than a day apart"
    if why:
        log.warning("%s may not prune its audit up to record %d: %s.", door, through.count, why)
    return not why
