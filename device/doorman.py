"""News of the leaf and the exit button, from the lock on the broker or from this board's wires, to the journal."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from typing import Final

from device.contact import ContactWatch
from device.journal import Journal
from device.link import Link
from device.lockset import Told
from firmware_config.broker import Incoming
from firmware_config.messages import EXIT_PRESSED, LEAF_ALARMS, Contact, Hint
from firmware_config.settings import LockSettings

log = logging.getLogger("latchkey.doorman")

NEWS: Final = 256
"""News that wait for the loop; a contact is debounced, so more than this is somebody who floods the topic."""


class Doorman:
    """Keeps the contact's watch. `hear` and `told` may be used from any thread, the rest on the loop's.

    News is judged by when it came: a loop that was busy makes nobody a burglar who was let in.
    """

    def __init__(self, link: Link, settings: LockSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """link: hears what the lock's wires say from now on. clock: monotonic seconds."""
        self._link = link
        link.on_wires = self.hear
        self._wired = settings.kind == "gpio"
        self._clock = clock
        self._news: queue.Queue[tuple[float, Callable[[float], None]]] = queue.Queue(NEWS)
        self.watch = ContactWatch(settings.held_open_s, settings.exit_hold_s)
        self.told = Told(contact=self._contact, exit=self._exit)

    def hear(self, leaf: str, message: Incoming) -> None:
        """A message of the lock on lock/contact or lock/exit; a door that reads its own wires believes no other."""
        if self._wired:
            return
        if leaf == "lock/exit":
            # A retained press is from any time, and would excuse an opening of now.
            if not message.retained and message.payload == EXIT_PRESSED:
                self._exit()
            return
        try:
            contact = Contact(message.payload.decode("ascii", "replace"))
        except ValueError:
            log.warning("%r is no state of a contact.", message.payload[:32])
            return
        if message.retained:
            self._put(self.watch.lose)  # whatever came before it was not heard
        self._contact(contact)

    def permit(self, hold_ms: int) -> None:
        """The bolt was let go: whoever opens the leaf now may."""
        self.watch.permit(hold_ms / 1000, self._clock())

    def end_permit(self) -> None:
        """The bolt was told to go back before its time."""
        self.watch.end_permit(self._clock())

    def beat(self, journal: Journal) -> None:
        """Judge, and tell what is to be told."""
        in_hearing = self._wired or self._link.lock.alive
        notices = []
        for _ in range(self._news.qsize()):
            came, news = self._news.get_nowait()
            # As the leaf was until then: one that was opened and closed while the loop was busy was opened.
            notices += self.watch.step(came, in_hearing)
            news(came)
        notices += self.watch.step(self._clock(), in_hearing)
        for notice in notices:
            (log.warning if notice in LEAF_ALARMS else log.info)("The door: %s", notice)
            journal.tell("notice", notice)
            if notice == "held_open":
                self._link.show(Hint.CLOSE_DOOR)

    def problems(self) -> list[str]:
        """Sentences for whoever looks after the door, worst first."""
        found = []
        if self.watch.forced_open:
            found.append("The door was opened by force, or with a key: nobody was let in. Go and look.")
        if self.watch.held_open:
            found.append("The door has been open for too long; close it.")
        return found

    def _contact(self, contact: Contact) -> None:
        self._put(lambda now: self.watch.hear(contact, now))

    def _exit(self) -> None:
        self._put(self.watch.exit)

    def _put(self, news: Callable[[float], None]) -> None:
        try:
            self._news.put_nowait((self._clock(), news))
        except queue.Full:
            log.error("The loop does not keep up with the door contact.")  # noqa: TRY400 - the sentence is the fact
