"""When old segments of the audit may go, and that nobody's evidence goes unseen.

In this order: nothing waits for the page (outbox empty, everything on the disk); the door records an event that says
up to where it would like to prune; the page stores it, so that the head which it keeps covers it, and agrees, under a
MAC; then the segments go. A door that cannot reach its page prunes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from device.ledger import audit_key
from device.pruned import read_pruned
from device.segments import apart, last_line, segments
from device.shelf import AUDIT_FOLDER
from firmware_config.chain import Head
from firmware_config.errors import DiskFault
from firmware_config.keys import SecretKey

log = logging.getLogger("latchkey.pruning")

LOOK_S: Final = 600.0
"""Seconds between two looks at the oldest records: a segment is a month's, and a look costs a millisecond."""

ASK_AGAIN_S: Final = 86_400.0
"""Seconds until the page is asked again where it did not agree: each time is a record."""


def old_segments_end(folder: Path, key: SecretKey, before: datetime) -> Head | None:
    """Where the oldest segments end of which every record is from before that time; None where there is none.

    The last segment stays whatever its age. before: aware. Raises BadState, DiskFault.
    """
    _, paths = apart(segments(folder), read_pruned(folder, key))
    end = None
    try:
        for path in paths[:-1]:
            line = last_line(path)
            # Records are in the order of their writing: the last one's time stands for all, but for clocks set back.
            if datetime.fromisoformat(line.open(key, f"{path}, its last line")["at"]) >= before:
                break
            end = line.head
    except OSError as error:
        raise DiskFault(f"The audit {folder} cannot be read ({error}).") from error
    return end


class Pruning:
    """What a door has asked its page, and when. Belongs to the journal, on the loop's thread."""

    def __init__(
        self, folder: Path, door_key: SecretKey, keep: timedelta, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """folder: the door's state. keep: how old a record becomes at least. clock: monotonic seconds."""
        self._folder = folder / AUDIT_FOLDER
        self._key = audit_key(door_key)
        self._keep = keep
        self._clock = clock
        self._looked_at = self._asked_at = float("-inf")
        self._asked: Head | None = None

    @property
    def due(self) -> bool:
        """Time to look."""
        now = self._clock()
        return now - self._looked_at >= LOOK_S and now - self._asked_at >= ASK_AGAIN_S

    def look(self, now: datetime) -> Head | None:
        """-> up to where to ask for; None: nothing is old enough. now: aware. Raises BadState, DiskFault."""
        self._looked_at = self._clock()
        return old_segments_end(self._folder, self._key, now - self._keep)

    def asked(self, head: Head) -> None:
        """The event that asks for it is on the disk."""
        self._asked, self._asked_at = head, self._clock()

    def agreed(self, said: str) -> Head | None:
        """The page's word -> what may be pruned, once; None for anything but what was asked since the start."""
        head, self._asked = self._asked, None
        if head is None or said != str(head):
            self._asked = head
            return None
        self._asked_at = float("-inf")
        return head
