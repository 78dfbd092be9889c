"""What happened, told in this order: to the audit on disk, to the outbox on disk, to the broker.

While the disk takes nothing (full, read-only, permission lost) the door goes on deciding: records wait in memory,
up to OWED_LIMIT, events go to the page at once, and health says so. Above that nothing opens (has_room). ADR 9.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from device.ledger import Record
from device.link import Link
from device.outbox import Pending
from device.owed import ASIDE, LAST_S, SETTLE_S, Debts, Owed
from device.proof import PRUNING
from device.pruning import Pruning
from device.stores import Stores
from firmware_config.chain import Head
from firmware_config.errors import BadInput, BadState, DiskFault
from firmware_config.events import Event, EventDetail, open_ack, seal_event
from firmware_config.keys import SecretKey
from firmware_config.messages import Topics, decode, encode
from firmware_config.settings import AuditSettings

log = logging.getLogger("latchkey.journal")

RESEND_S: Final = 5.0
"""Seconds until an event that nobody acknowledged is sent again; the page stores one within milliseconds."""

BATCH: Final = 100
"""Events sent again at once, the next as soon as these are stored: the loop has frames to see in between."""

OWED_LIMIT: Final = 1000
"""Records in memory at most while the disk takes nothing: a day or two at the door of an office, half a megabyte.
What a power cut takes then is what the page did not get either."""

KEEP: Final = timedelta(days=AuditSettings().keep_days)

RETRY_S: Final = 1.0
"""Seconds between two attempts on a disk that failed: each may take long, and the loop has frames to see."""


def now_utc() -> datetime:
    """The wall clock, aware, to the millisecond that the audit keeps."""
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Journal:
    """One event, one record, one line in the outbox; nothing lost and nothing doubled by a power cut."""

    def __init__(
        self,
        folder: Path,
        link: Link,
        door_key: SecretKey,
        clock: Callable[[], float] = time.monotonic,
        keep: timedelta = KEEP,
    ) -> None:
        """folder: where audit and outbox are. keep: how old a record becomes before it may be pruned. Raises BadState
        when audit or outbox is damaged; waits for a failing disk."""
        self._link = link
        self._door_key = door_key
        self._topics: Topics = link.topics
        self._clock = clock
        self._owed = Debts()
        self._unsent = 0
        self._in_flight: set[str] = set()
        self._again_at = self._sent_at = float("-inf")
        self._was_connected = False
        self._failure = ""
        self.stores = Stores(folder, door_key, self._event_of)
        self._pruning = Pruning(folder, door_key, keep, clock)
        self.note("started")

    def close(self) -> None:
        """Everything is on disk already, but for what `problem` tells."""
        self._again_at = float("-inf")
        self.note("stopped")
        self.settle(LAST_S)
        if self._owed:
            lost = len(self._owed) + self._owed.missed
            log.error("%d records could not be written to the disk before the end.", lost)
        self.stores.close()

    @property
    def head(self) -> Head:
        """Where the audit ends, on disk."""
        return self.stores.audit.head if self.stores.audit is not None else Head()

    @property
    def has_room(self) -> bool:
        """False when one record more could be kept neither on disk nor in memory: the daemon opens nothing then."""
        return len(self._owed) < OWED_LIMIT

    @property
    def problem(self) -> str:
        """What is wrong with the disk, for a person; empty when nothing is."""
        if not self._failure:
            return ""
        if self.has_room:
            waiting = f"{len(self._owed)} records wait in memory; at {OWED_LIMIT} nobody is let in any more."
        else:
            waiting = f"{OWED_LIMIT} records wait in memory, so nobody is let in until the disk takes them."
        return f"{self._failure} {waiting}"

    @property
    def unsent(self) -> int:
        """Events that the page has not acknowledged; what was known last while the disk cannot be read."""
        # Asked for with every frame: a disk that failed at the start is tried again by `settle`, in its own time.
        if self.stores.outbox is not None:
            try:
                self._unsent = len(self.stores.outbox)
            except DiskFault as error:
                self._say(error)
        return self._unsent + self.stores.unread + sum("event" in owed.facts for owed in self._owed)

    def tell(
        self, outcome: str, reason: str, detail: EventDetail | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        """Record an event and send it. more: facts for the audit alone. Does not raise for a disk that fails."""
        detail = detail or EventDetail()
        facts = {
            "event": str(uuid.uuid4()),
            "outcome": outcome,
            "reason": reason,
            "detail": detail.model_dump(exclude_defaults=True, exclude={*ASIDE, "audit_seq", "audit_head"}),
            **(more or {}),
        }
        aside = detail.model_dump(exclude_defaults=True, include=set(ASIDE))
        self._keep(Owed("event", facts, now_utc(), aside))

    def note(self, kind: str, facts: Mapping[str, Any] | None = None) -> None:
        """Record an act that is no event: a start, a roster taken. The page learns of it by the next event's head."""
        self._keep(Owed(kind, dict(facts or {}), now_utc()))

    def settle(self, most_s: float = SETTLE_S) -> None:
        """Write what is owed, oldest first, for most_s seconds and what the last record takes; the rest is written at
        the next turn. After a fault it is tried again after RETRY_S."""
        begun = self._clock()
        if begun < self._again_at:
            return
        while self._owed:
            try:
                event = self._write(self._owed[0])
            except DiskFault as error:
                self._failed(error)
                return
            self._owed.popleft()
            if event is not None:
                self._link.say_event(event)
            if not self._owed:
                self._owed.count_missed(now_utc())
            if not self._owed:
                self._recovered()
            elif self._clock() - begun >= most_s:
                return

    def beat(self) -> None:
        """Settle debts, catch up; send again what was not acknowledged, at a reconnection and every RESEND_S."""
        self.settle()
        self._catch_up()
        connected = self._link.connected
        if connected:
            self._prune()
        back = connected and not self._was_connected
        self._was_connected = connected
        if not connected or not (back or self._clock() - self._sent_at >= RESEND_S):
            return
        self._sent_at = self._clock()
        try:
            batch = self.stores.open()[1].pending(BATCH)
        except DiskFault as error:
            self._say(error)
            return
        if not self._owed:
            self._recovered()
        self._in_flight = {pending.event_id for pending in batch}
        for pending in batch:
            if not self._link.say_event(decode(Event, pending.payload, self._topics["event"])):
                return

    def _prune(self) -> None:
        """Ask the page whether old records may go, once nothing waits for it."""
        if self._failure or self._owed or self.stores.behind or not self._pruning.due:
            return
        try:
            if self.unsent:
                return
            through = self._pruning.look(now_utc())
        except DiskFault as error:
            self._say(error)
            return
        except BadState as damaged:
            # What is damaged stays, as evidence; the door goes on.
            log.error("Nothing is pruned: %s", damaged)  # noqa: TRY400 - the sentence is the fact
            return
        if through is not None:
            self.tell("notice", PRUNING, EventDetail(prune=str(through)))
            if not self._owed:
                self._pruning.asked(through)

    def _catch_up(self) -> None:
        if not self.stores.behind or self._clock() < self._again_at:
            return
        try:
            self.stores.catch_up()
        except DiskFault as error:
            self._failed(error)

    def acknowledged(self, payload: bytes) -> None:
        """The page has stored these. On a disk that fails they stay, are sent again, and acknowledged again."""
        try:
            ack = open_ack(self._door_key, self._topics, payload)
            audit, outbox = self.stores.open()
            outbox.drop(ack.ids)
            agreed = self._pruning.agreed(ack.prune)
            if agreed is not None:
                log.info("Records up to %d were pruned from the audit, as the page agreed.", agreed.count)
                self.note("audit_pruned", {"through": agreed.count, "files": audit.prune(agreed)})
        except BadInput as refused:
            log.warning("%s", refused)
            return
        except DiskFault as error:
            self._say(error)
            return
        waited = bool(self._in_flight)
        self._in_flight.difference_update(ack.ids)
        if waited and not self._in_flight:
            self._sent_at = float("-inf")

    def _keep(self, owed: Owed) -> None:
        if not self.has_room:
            self._owed.missed += 1
            return
        self._owed.owe(owed)
        if len(self._owed) == 1:  # else those before it come first, a few each turn
            self.settle()
        if self._owed and owed.kind == "event":
            # The page's store is then the one place outside this process's memory that knows.
            self._link.say_event(self._event(owed.facts, owed.at, owed.aside))

    def _write(self, owed: Owed) -> Event | None:
        audit, outbox = self.stores.open()
        if owed.record is None:
            owed.record = audit.append(owed.kind, owed.facts, owed.at)
        if owed.kind != "event" or self.stores.behind:
            return None
        event = self._event(owed.facts, owed.at, owed.aside, owed.record)
        outbox.add(event.id, encode(event), owed.record["seq"])
        return event

    def _failed(self, error: DiskFault) -> None:
        self._again_at = self._clock() + RETRY_S
        self._say(error)

    def _say(self, error: DiskFault) -> None:
        if not self._failure:
            log.error("%s", error)
        self._failure = str(error)

    def _recovered(self) -> None:
        if self._failure:
            log.info("The disk takes records again; everything is written.")
        self._failure = ""

    def _event(
        self, facts: Mapping[str, Any], at: datetime, aside: Mapping[str, Any], record: Record | None = None
    ) -> Event:
        place = {"audit_seq": record["seq"], "audit_head": record["hash"]} if record is not None else {}
        return seal_event(
            self._door_key,
            self._topics,
            event_id=facts["event"],
            at=at,
            outcome=facts["outcome"],
            reason=facts["reason"],
            detail=EventDetail.model_validate({**facts["detail"], **aside, **place}),
        )

    def _event_of(self, record: Record) -> Pending | None:
        """An audit record -> the event that a power cut kept from the outbox; the page has a name to the id."""
        if record["kind"] != "event":
            return None
        event = self._event(record, datetime.fromisoformat(record["at"]), {}, record)
        return Pending(event.id, encode(event))
