"""Records on their way to the disk."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from device.ledger import Record

ASIDE: Final = ("person", "why")
"""Of an event's detail, what stays out of the audit: whoever is erased from the roster is nobody there, and a reason
may name anybody."""

SETTLE_S: Final = 0.1
"""Seconds of writing what is owed before the loop has its next turn. A record costs three syncs, 1 to 100 ms each on an
SD card: a thousand at once would outlast the watchdog's 10 s, and the rest of them would be lost with the process."""

LAST_S: Final = 4.0
"""Seconds of writing what is owed at the end: with all else that stops, less than systemd's 10 s for a stop."""


@dataclass
class Owed:
    """aside: of the detail, what goes to the page and not into the audit. record: once the audit has it."""

    kind: str
    facts: dict[str, Any]
    at: datetime
    aside: dict[str, Any] = field(default_factory=dict)
    record: Record | None = None


class Debts(deque[Owed]):
    """Oldest first. How many there may be is for the journal to say."""

    missed = 0
    """Records that found no room after the last of these."""

    def owe(self, owed: Owed) -> None:
        """One more, behind all that happened before it."""
        self.count_missed(owed.at)
        self.append(owed)

    def count_missed(self, now: datetime) -> None:
        """The number of those that found no room becomes a record in their place."""
        if self.missed:
            missed, self.missed = self.missed, 0
            self.append(Owed("records_missed", {"count": missed}, now))
