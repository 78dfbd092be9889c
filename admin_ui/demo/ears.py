"""Listen to what door and lock say on the broker, as anybody with the door's key could."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from firmware_config.broker import Connection, Incoming
from firmware_config.errors import BadInput
from firmware_config.events import Event, EventDetail, open_event
from firmware_config.keys import SecretKey
from firmware_config.messages import ONLINE, Applied, Health, LockResult, Topics, decode
from firmware_config.settings import BrokerSettings


@dataclass(frozen=True)
class Heard:
    """One event of the door with its detail open. at: aware. heard_at: monotonic seconds."""

    id: str
    at: datetime
    outcome: str
    reason: str
    detail: EventDetail
    heard_at: float = field(default_factory=time.monotonic)


class Ears:
    """A listener beside the page: events one by one to show, counters to check. Thread-safe."""

    def __init__(self, door_key: SecretKey, broker: BrokerSettings, site: str, door: str) -> None:
        """Raises BadState as Connection does."""
        self._key = door_key
        self._topics = Topics(site, door)
        self._guard = threading.Lock()
        self._seen: set[str] = set()
        self._unlocks = 0
        self._availability = b""
        self.health: Health | None = None
        self.applied: Applied | None = None
        self._news: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._connection = Connection(
            broker,
            f"latchkey-ears-{site}-{door}",
            subscriptions=[
                (self._topics[leaf], 1) for leaf in ("availability", "health", "applied", "event", "lock/result")
            ],
            on_message=self._hear,
            on_connected=lambda: None,
        )

    def start(self) -> None:
        self._connection.start()

    def stop(self) -> None:
        self._connection.stop()

    @property
    def door_is_up(self) -> bool:
        """True when the door is online and runs a model."""
        return self._availability == ONLINE and self.health is not None and bool(self.health.encoder_id)

    @property
    def unlocks(self) -> int:
        """Commands that the lock has obeyed since `start`."""
        with self._guard:
            return self._unlocks

    def next(self, timeout_s: float) -> Heard | None:
        """The oldest event not yet taken, or None when none comes in time."""
        try:
            return self._news.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _hear(self, message: Incoming) -> None:
        leaf = Topics.split(message.topic)[1]
        if leaf == "availability":
            self._availability = message.payload
        elif leaf == "health":
            self.health = decode(Health, message.payload, message.topic)
        elif leaf == "applied":
            self.applied = decode(Applied, message.payload, message.topic)
        elif leaf == "lock/result":
            with self._guard:
                self._unlocks += decode(LockResult, message.payload, message.topic).accepted
        else:
            self._hear_event(decode(Event, message.payload, message.topic))

    def _hear_event(self, event: Event) -> None:
        # At least once is what the door promises; once is what a person wants to read.
        if event.id in self._seen:
            return
        self._seen.add(event.id)
        try:
            detail = open_event(self._key, self._topics, event)
        except BadInput:
            detail = EventDetail()  # an event without its detail still happened
        self._news.put(Heard(event.id, event.at, event.outcome, event.reason, detail))
