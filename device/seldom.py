"""News that repeats itself is told now and then: nobody out on the network decides how fast the audit grows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Seldom:
    """Says whether to tell of something again. One thread."""

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic, times: int = 1) -> None:
        """times: so many tellings of the same, 1 or more, in every_s seconds. clock: seconds; one that jumps tells too
        often."""
        self._every_s = every_s
        self._clock = clock
        self._times = times
        self._told: dict[str, deque[float]] = {}

    def due(self, what: str) -> bool:
        """True: tell of it now. what: one of few, they are all kept."""
        now = self._clock()
        told = self._told.setdefault(what, deque(maxlen=self._times))
        if len(told) == self._times and abs(now - told[0]) < self._every_s:
            return False
        told.append(now)
        return True
