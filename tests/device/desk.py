"""A door's journal with nothing around it: a wire that the test holds, and a clock that it moves."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from device.audit import read
from device.journal import KEEP, Journal
from device.ledger import Record, audit_key
from device.shelf import AUDIT_FOLDER
from firmware_config.events import Event, EventDetail, acknowledge, open_event
from firmware_config.keys import SecretKey
from firmware_config.messages import Topics, encode

TOPICS = Topics("home", "front")
KEY = SecretKey(bytes(range(32)))


@contextmanager
def failing_disk() -> Iterator[None]:
    """No file can be written, whatever the size of what is in it: the kernel says so, not a double."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Wire:
    """What a journal needs of the link: takes every event while connected."""

    topics = TOPICS

    def __init__(self) -> None:
        self.connected = True
        self.said: list[Event] = []

    def say_event(self, event: Event) -> bool:
        """As Link.say_event."""
        if self.connected:
            self.said.append(event)
        return self.connected


class Desk:
    """A journal in a folder, with a clock that the test moves."""

    def __init__(self, folder: Path, keep: timedelta = KEEP) -> None:
        self.folder = folder
        self.keep = keep
        self.wire = Wire()
        self.now = 0.0
        self.journal = self.open()

    def open(self) -> Journal:
        """As at a start."""
        link: Any = self.wire
        self.journal = Journal(self.folder, link, KEY, lambda: self.now, self.keep)
        self.running = True
        return self.journal

    def close(self) -> None:
        """As at a stop."""
        if self.running:
            self.running = False
            self.journal.close()

    def later(self, seconds: float = 2.0) -> None:
        """The loop turns once, that much later."""
        self.now += seconds
        self.journal.beat()

    def grant(self, person: str) -> None:
        self.journal.tell("granted", "granted", EventDetail(person_id=f"id-{person}", person=person, distance=0.5))

    def records(self, kind: str = "event") -> list[Record]:
        return [r for r in read(self.folder / AUDIT_FOLDER, audit_key(KEY)) if r["kind"] == kind]

    def details(self) -> list[EventDetail]:
        return [open_event(KEY, TOPICS, event) for event in self.wire.said]

    def store(self, events: list[Event], prune: str = "") -> None:
        """The page has stored these. prune: and agrees to that."""
        self.journal.acknowledged(encode(acknowledge(KEY, TOPICS, [event.id for event in events], prune)))
