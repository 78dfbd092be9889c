"""Batches that were read and wait for somebody to say yes."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from admin_ui.batch import Row

WAITS_S: Final = 3600.0
"""Seconds that a batch waits for its yes. After that the faces in it are forgotten."""


@dataclass(frozen=True)
class Batch:
    """rows: as they stand in the table. read_at: monotonic seconds. id: a yes is to this table, and to no other."""

    rows: tuple[Row, ...]
    encoder_id: str
    read_at: float
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def good(self) -> int:
        """How many would be enrolled."""
        return sum(row.ok and not row.done for row in self.rows)


class WaitingRoom:
    """One batch an account, in this process's memory alone: a face that nobody said yes to touches no disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Batch] = {}

    def put(self, account: str, waits: Batch) -> None:
        """In place of one that this account has."""
        with self._lock:
            self._waiting[account] = waits

    def renew(self, account: str, waits: Batch) -> None:
        """What became of it; not in place of another one that was read meanwhile."""
        with self._lock:
            held = self._waiting.get(account)
            if held is not None and held.id == waits.id:
                self._waiting[account] = waits

    def get(self, account: str) -> Batch | None:
        """None: there is none, or it waited too long."""
        now = time.monotonic()
        with self._lock:
            for name in [name for name, one in self._waiting.items() if now - one.read_at > WAITS_S]:
                del self._waiting[name]
            return self._waiting.get(account)

    def drop(self, account: str, batch_id: str | None = None) -> None:
        """Forget it. batch_id: where it is this one; None: whichever it is."""
        with self._lock:
            held = self._waiting.get(account)
            if held is not None and batch_id in (None, held.id):
                del self._waiting[account]
