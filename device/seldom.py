"""News that repeats itself is told now and then: nobody out on the network decides how fast the audit grows."""

from __future__ import annotations

import time
from collections.abc import Callable


class Seldom:
    """Says whether to tell of something again. One thread."""

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """every_s: seconds between two tellings of the same. clock: seconds; one that jumps tells too often."""
        self._every_s = every_s
        self._clock = clock
        self._told: dict[str, float] = {}

    def due(self, what: str) -> bool:
        """True: tell of it now. what: one of few, they are all kept."""
        now = self._clock()
        if abs(now - self._told.get(what, float("-inf"))) < self._every_s:
            return False
        self._told[what] = now
        return True
