"""A hash chain: each record carries the hash of the one before, so that none can be changed, moved or taken out.

Door (its audit) and page (its record of acts) keep one each. Cutting records off the end breaks no link: for that,
somebody else has to remember the Head. Haber and Stornetta 1991; Schneier and Kelsey 1999 for logs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

ORIGIN: Final = "0" * 64
"""`prev` of the first record."""


@dataclass(frozen=True)
class Head:
    """Where a chain ends. count: records, 0 for none; the last one's seq. hash: its hash, hex."""

    count: int = 0
    hash: str = ORIGIN

    def __str__(self) -> str:
        return f"{self.count}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """The inverse of str(). Raises ValueError."""
        found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text)
        if found is None:
            raise ValueError("a head is a number, a colon and 64 hex digits")
        return cls(int(found[1]), found[2])


def canonical(record: Mapping[str, Any]) -> bytes:
    """The one way to write a record down: sorted keys, no spaces, UTF-8. Raises TypeError, ValueError."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def link_hash(previous: str, record: Mapping[str, Any]) -> str:
    """sha256, hex, of the hash before and the record in its canonical form. Raises TypeError, ValueError."""
    return sha256(previous.encode() + canonical(record)).hexdigest()
