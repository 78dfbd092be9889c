"""Batches that were read and wait for somebody to say yes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from admin_ui.batch import Row

WAITS_S: Final = 3600.0
"""Seconds that a batch waits for its yes. After that the faces in it are forgotten."""


@dataclass(frozen=True)
class Batch:
    """rows: as they stand in the table. read_at: monotonic seconds."""

    rows: tuple[Row, ...]
    encoder_id: str
    read_at: float

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

    def get(self, account: str) -> Batch | None:
        """None: there is none, or it waited too long."""
        now = time.monotonic()
        with self._lock:
            for name in [name for name, one in self._waiting.items() if now - one.read_at > WAITS_S]:
                del self._waiting[name]
            return self._waiting.get(account)

    def drop(self, account: str) -> None:
        """Forget it."""
        with self._lock:
            self._waiting.pop(account, None)
