"""A record on its way to the disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from device.ledger import Record

ASIDE: Final = ("person", "why")
"""Of an event's detail, what stays out of the audit: whoever is erased from the roster is nobody there, and a reason
may name anybody."""


@dataclass
class Owed:
    """aside: of the detail, what goes to the page and not into the audit. record: once the audit has it."""

    kind: str
    facts: dict[str, Any]
    at: datetime
    aside: dict[str, Any] = field(default_factory=dict)
    record: Record | None = None
