"""What happened, told in this order: to the audit on disk, to the outbox on disk, to the broker."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from device.audit import Audit, read
from device.link import Link
from device.outbox import Outbox, Pending
from firmware_config.errors import BadInput, BadState
from firmware_config.keys import SecretKey
from firmware_config.messages import Event, EventAck, EventDetail, Topics, decode, encode, seal_event

log = logging.getLogger("latchkey.journal")

AUDIT_FILE: Final = "audit.log"
OUTBOX_FILE: Final = "outbox.db"

RESEND_S: Final = 5.0
"""Seconds until an event that nobody acknowledged is sent again; the page stores one within milliseconds."""

BATCH: Final = 100
"""Events sent again at once: a day offline at a busy door is a few hundred, and the loop has frames to see."""

STUCK_S: Final = 30.0
"""Seconds without a writable disk until the daemon gives up: a start opens the files anew, which may help."""


def now_utc() -> datetime:
    """The wall clock, aware, to the millisecond that the audit keeps."""
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def finite(distance: float | None) -> float | None:
    """JSON has no infinity: nobody else enrolled is no runner-up."""
    return distance if distance is not None and math.isfinite(distance) else None


@dataclass
class _Owed:
    """An event on its way to the disk. seq: of its audit record, 0 before there is one."""

    event: Event
    facts: dict[str, Any]
    seq: int = 0


class Journal:
    """One event, one record, one line in the outbox; nothing lost and nothing doubled by a power cut.

    `whole` is False while an event could not be written: the daemon opens nothing then.
    """

    def __init__(
        self, folder: Path, link: Link, door_key: SecretKey, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """folder: where audit and outbox are. Raises BadState when either is damaged."""
        self._link = link
        self._door_key = door_key
        self._topics: Topics = link.topics
        self._clock = clock
        self._owed: deque[_Owed] = deque()
        self._owed_since = 0.0
        self._sent_at = float("-inf")
        self._was_connected = False
        self.problem = ""
        self._audit = Audit(folder / AUDIT_FILE)
        try:
            self._outbox = Outbox(folder / OUTBOX_FILE)
            records = read(folder / AUDIT_FILE, after=self._outbox.taken)
            self._outbox.reconcile(records, self._audit.head.count, self._event_of)
        except BaseException:
            self._audit.close()
            raise

    def close(self) -> None:
        """Everything is on disk already, but for what `whole` tells."""
        self._audit.close()
        self._outbox.close()

    @property
    def whole(self) -> bool:
        """True when everything that happened is on disk."""
        return not self._owed

    @property
    def stuck(self) -> bool:
        """True when nothing could be written for STUCK_S."""
        return bool(self._owed) and self._clock() - self._owed_since > STUCK_S

    @property
    def unsent(self) -> int:
        """Events that the page has not acknowledged. Raises BadState."""
        return len(self._outbox)

    def tell(self, outcome: str, reason: str, detail: EventDetail | None = None) -> None:
        """Record an event and send it. Does not raise for a disk that fails: the event is owed, see `settle`."""
        facts = {
            "event": str(uuid.uuid4()),
            "outcome": outcome,
            "reason": reason,
            "detail": (detail or EventDetail()).model_dump(exclude_defaults=True),
        }
        if self.whole:
            self._owed_since = self._clock()
        self._owed.append(_Owed(self._event(facts, now_utc()), facts))
        self.settle()

    def settle(self) -> None:
        """Write what is owed, oldest first; what cannot be written stays owed and is tried at the next beat."""
        while self._owed:
            owed = self._owed[0]
            try:
                if not owed.seq:
                    owed.seq = int(self._audit.append("event", owed.facts, owed.event.at)["seq"])
                self._outbox.add(owed.event.id, encode(owed.event), owed.seq)
            except BadState as error:
                # Going on is safe because `whole` is False: nothing opens until the record is written.
                if not self.problem:
                    log.error("%s", error)  # noqa: TRY400 - the sentence is the fact
                self.problem = str(error)
                return
            self._owed.popleft()
            self.problem = ""
            self._link.say_event(owed.event)

    def beat(self) -> None:
        """Settle debts; send again what was not acknowledged, at a reconnection and every RESEND_S.

        Raises BadState when the outbox cannot be read, or when the disk has been stuck for too long.
        """
        self.settle()
        if self.stuck:
            raise BadState(f"Nothing could be written for {STUCK_S:.0f} s: {self.problem}")
        connected = self._link.connected
        back = connected and not self._was_connected
        self._was_connected = connected
        if not connected or not (back or self._clock() - self._sent_at >= RESEND_S):
            return
        self._sent_at = self._clock()
        for pending in self._outbox.pending(BATCH):
            if not self._link.say_event(decode(Event, pending.payload, self._topics["event"])):
                return

    def acknowledged(self, payload: bytes) -> None:
        """The page has stored these. Raises BadState when the outbox cannot be written."""
        try:
            ack = decode(EventAck, payload, self._topics["event/ack"])
        except BadInput as refused:
            log.warning("%s", refused)
            return
        self._outbox.drop(ack.ids)

    def _event(self, facts: dict[str, Any], at: datetime) -> Event:
        event_id = facts["event"]
        detail = EventDetail.model_validate(facts["detail"])
        return seal_event(
            self._door_key,
            self._topics,
            event_id=event_id,
            at=at,
            outcome=facts["outcome"],
            reason=facts["reason"],
            detail=detail,
        )

    def _event_of(self, record: dict[str, Any]) -> Pending | None:
        """An audit record -> the event that a power cut kept from the outbox."""
        if record["kind"] != "event":
            return None
        event = self._event(record, datetime.fromisoformat(record["at"]))
        return Pending(event.id, encode(event))
