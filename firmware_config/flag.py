"""What a signal handler may raise while the thread that it interrupts waits for it."""

from __future__ import annotations

import contextlib
from queue import Empty, SimpleQueue


class Flag:
    """threading.Event for signal handlers, and for one thread that waits.

    An Event cannot be set by a handler: Event.wait takes a lock again each time that it wakes, and a handler that runs
    just then in the same thread waits for that lock for ever. SimpleQueue.put is made for that: it may interrupt a
    `get`.
    """

    def __init__(self) -> None:
        self._raised = False
        self._bell: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Raise it, from a signal handler or any thread."""
        if not self._raised:
            self._raised = True
            self._bell.put(None)

    def clear(self) -> None:
        """Take it down."""
        self._raised = False

    def is_set(self) -> bool:
        return self._raised

    def wait(self, timeout_s: float) -> bool:
        """Is it raised, now or within so many seconds? It may say False before they are over."""
        if not self._raised:
            with contextlib.suppress(Empty):
                self._bell.get(timeout=timeout_s)
        return self._raised
