"""Audit and outbox, opened together: at the start, or as soon as a disk that failed at the start works.

A power cut may have kept the last record from the outbox, and a lost outbox lacks them all. The first few are taken in
at the start, the rest between frames: a door with a year in its audit is ready in a second all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from device.audit import Audit, read
from device.ledger import Record, audit_key
from device.outbox import Outbox, Pending, outbox_key
from device.plain_audit import seal_plain_audit
from device.shelf import AUDIT_FOLDER
from firmware_config.errors import BadState
from firmware_config.keys import SecretKey

log = logging.getLogger("latchkey.stores")

OUTBOX_FILE: Final = "outbox.db"

AT_START: Final = 1000
"""Records taken in before the door is ready: a tenth of a second."""

BETWEEN_FRAMES: Final = 100
"""Records taken in at once after that: 10 ms."""


class Stores:
    """What a journal writes to. `audit` and `outbox` are None until `open` has succeeded."""

    def __init__(self, folder: Path, door_key: SecretKey, event_of: Callable[[Record], Pending | None]) -> None:
        """event_of: an audit record -> its event, for what a power cut kept from the outbox."""
        self._folder = folder / AUDIT_FOLDER
        self._outbox_path = folder / OUTBOX_FILE
        self._door_key = door_key
        self._event_of = event_of
        self.audit: Audit | None = None
        self.outbox: Outbox | None = None
        self.behind = False
        """The audit has records that the outbox has not looked at. New ones go to the audit alone until `catch_up` is
        through, so that events go out in the order in which they happened."""
        self._looked_at = 0
        self._records: Iterator[Record] = iter(())

    @property
    def unread(self) -> int:
        """Records that the outbox has not looked at."""
        return self.audit.head.count - self._looked_at if self.behind and self.audit is not None else 0

    def catch_up(self) -> None:
        """The next few. Raises BadState, DiskFault."""
        if self.behind and self.audit is not None and self.outbox is not None:
            self._reconcile(self.audit, self.outbox, BETWEEN_FRAMES)

    def open(self) -> tuple[Audit, Outbox]:
        """Quick when they are open. Raises BadState when either is damaged, DiskFault when the disk fails."""
        if self.audit is None or self.outbox is None:
            self.close()
            key = audit_key(self._door_key)
            carried = seal_plain_audit(self._folder.parent, self._folder, key)
            audit = Audit(self._folder, key)
            try:
                if carried:
                    log.info("%d records of the audit of version 0.1 were sealed.", carried)
                    audit.append("plain_audit_sealed", {"records": carried})
                self.outbox = self._open_outbox(audit)
            except BadState:
                audit.close()
                raise
            self.audit = audit
        return self.audit, self.outbox

    def close(self) -> None:
        """Everything is on disk already."""
        if self.audit is not None:
            self.audit.close()
        if self.outbox is not None:
            self.outbox.close()
        self.audit = self.outbox = None
        self.behind = False

    def _open_outbox(self, audit: Audit) -> Outbox:
        outbox = Outbox(self._outbox_path, outbox_key(self._door_key))
        try:
            self._look_from(outbox.taken, audit.pruned.count)
            self._reconcile(audit, outbox, AT_START)
        except BadState:
            outbox.close()
            raise
        return outbox

    def _reconcile(self, audit: Audit, outbox: Outbox, most: int) -> None:
        try:
            batch = list(islice(self._records, most))
            outbox.reconcile(batch, audit.head.count, self._event_of)
        except BadState:
            self._look_from(self._looked_at)
            raise
        if batch:
            self._looked_at = batch[-1]["seq"]
        self.behind = self._looked_at < audit.head.count
        if self.behind and len(batch) < most:
            self._look_from(self._looked_at)  # the audit has begun another file meanwhile

    def _look_from(self, after: int, pruned: int = 0) -> None:
        self._looked_at = max(after, pruned)
        self._records = read(self._folder, audit_key(self._door_key), after)
