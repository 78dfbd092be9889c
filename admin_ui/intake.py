"""What has come for the store and waits for it: one queue, one worker, and many events to a transaction.

A commit takes 1 to 30 ms, whatever is in it. A door that comes back after a week has a hundred thousand events, so
whatever has arrived while the last commit was under way goes into the next one. Nothing waits for company: an event
that comes alone is committed alone, at once.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final

from firmware_config.broker import Incoming
from firmware_config.errors import LatchkeyError

log = logging.getLogger("latchkey.page.intake")

QUEUE_MESSAGES: Final = 10_000
"""Messages that wait for the store; doors send again what was not acknowledged."""
EVENTS_AT_ONCE: Final = 200
"""Events to a transaction: what one holds the store's lock for stays below a tenth of a second."""
STOP_S: Final = 5.0

Job = Callable[[], None]


class Intake:
    """put and put_event may be called from any thread and never wait; what they bring is done in that order."""

    def __init__(self, keep: Callable[[Sequence[Incoming]], None], on_connected: Job) -> None:
        """keep: up to EVENTS_AT_ONCE messages of event topics. on_connected: see `connected`. Both on the worker."""
        self._keep = keep
        self._on_connected = on_connected
        self._reconnected = threading.Event()
        self._queue: queue.Queue[Incoming | Job | None] = queue.Queue(QUEUE_MESSAGES)
        self._worker = threading.Thread(target=self._run, name="page-intake", daemon=True)

    def start(self) -> None:
        """Begin to work off what comes."""
        self._worker.start()

    def stop(self) -> None:
        """Finish what has come, within STOP_S."""
        if self._worker.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=STOP_S)
            self._worker.join(STOP_S)

    def put(self, work: Incoming | Job) -> None:
        """An event's message, or something else to do. Left out, and said, where too much waits already."""
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            log.warning("The store does not keep up; a message is left to be sent again.")

    def connected(self) -> None:
        """The broker is there (again): never left out, however much waits, and done before it."""
        self._reconnected.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(lambda: None)  # wakes a worker that waits; one whose queue is full does not

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def _run(self) -> None:
        events: list[Incoming] = []
        while (work := self._queue.get()) is not None:
            if self._reconnected.is_set():
                self._reconnected.clear()
                self._attempt(self._on_connected)
            if isinstance(work, Incoming):
                events.append(work)
                if len(events) < EVENTS_AT_ONCE and not self._queue.empty():
                    continue
            events = self._keep_all(events)
            if not isinstance(work, Incoming):
                self._attempt(work)
        self._keep_all(events)

    def _keep_all(self, events: list[Incoming]) -> list[Incoming]:
        if events:
            self._attempt(lambda: self._keep(events))
        return []

    @staticmethod
    def _attempt(job: Job) -> None:
        try:
            job()
        except LatchkeyError as error:
            log.warning("%s", error)
        except Exception:
            # The worker must outlive any single message; nothing of it was acknowledged.
            log.exception("What a door sent could not be handled.")
