"""Audit and outbox, opened together: at the start, or as soon as a disk that failed at the start works."""

from __future__ import annotations

import logging
from collections.abc import Callable
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
                self.outbox = self._open_outbox(audit, key)
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

    def _open_outbox(self, audit: Audit, key: SecretKey) -> Outbox:
        outbox = Outbox(self._outbox_path, outbox_key(self._door_key))
        try:
            records = read(self._folder, key, after=outbox.taken)
            outbox.reconcile(records, audit.head.count, self._event_of)
        except BadState:
            outbox.close()
            raise
        return outbox
