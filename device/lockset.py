"""What a locksmith mounts: the latch, the contact at the leaf and the button inside, on one board.

The lock on the broker has one, and so has a door with the relay on its own board.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from device.contact import Settled
from device.inputs import Inputs, NoInputs
from device.latch import Latch
from device.relay import Relay, RelayFault
from firmware_config.messages import Contact, LockState

log = logging.getLogger("latchkey.lockset")

READ_S: Final = 0.02
"""Seconds between two looks at the wires: a quick press of a button lasts a tenth of a second."""

BUTTON_SETTLE_S: Final = 0.04
"""Seconds that the button must be down: two looks, so that a spark on the wire opens nothing."""

EXIT_HOLD_S: Final = 5.0
"""Seconds that the exit button lets the bolt go by default: the way from a button beside the door through it."""


@dataclass(frozen=True)
class Told:
    """Whom a lockset tells. Called on the thread that reads it, or on the latch's timer: hand over and return."""

    state: Callable[[LockState], None] = lambda _state: None
    contact: Callable[[Contact], None] = lambda _contact: None
    exit: Callable[[], None] = lambda: None


class Lockset:
    """Reads the wires. The exit button lets the bolt go right here: a way out must not hang on a network."""

    def __init__(
        self,
        relay: Relay,
        inputs: Inputs | None = None,
        told: Told | None = None,
        exit_hold_s: float = EXIT_HOLD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """exit_hold_s: seconds. clock: monotonic seconds."""
        self._inputs = inputs or NoInputs()
        self._told = told or Told()
        self._exit_hold_ms = round(exit_hold_s * 1000)
        self._clock = clock
        self._leaf: Settled[Contact] = Settled(if_flapping=Contact.OPEN)
        self._button: Settled[bool] = Settled(BUTTON_SETTLE_S)
        self._was_down: bool | None = None
        self.contact: Contact | None = None
        self.latch = Latch(relay, self._told.state, clock)

    def beat(self) -> None:
        """Read everything once. Called every READ_S."""
        now = self._clock()
        self._button.hear(self._inputs.pressed(), now)
        down = self._button.at(now)
        # Down since before the first look is a short circuit, which must not open the door at every start.
        if down and self._was_down is False:
            self._let_out()
        self._was_down = down
        reading = self._inputs.contact()
        if reading is not None:
            self._leaf.hear(reading, now)
            leaf = self._leaf.at(now)
            if leaf is not None and leaf is not self.contact:
                self.contact = leaf
                self._told.contact(leaf)
        self.latch.look(self.contact)

    def rest(self) -> None:
        """The end: the lock goes into its fail state. Raises RelayFault."""
        try:
            self.latch.rest()
        finally:
            self._inputs.close()

    def _let_out(self) -> None:
        log.info("Somebody asks to be let out.")
        self._told.exit()
        try:
            self.latch.open(self._exit_hold_ms)
        except RelayFault as fault:
            log.error("The exit button was pressed and the lock stays shut: %s", fault)  # noqa: TRY400


class LocksetThread:
    """A lockset that reads by itself, so that a way out hangs on no camera and no encoder either."""

    def __init__(self, lockset: Lockset) -> None:
        self.lockset = lockset
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lockset", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False when it fell over; the lock is in its fail state then."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """The lock is in its fail state when this returns."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(READ_S):
                self.lockset.beat()
        except Exception:
            log.exception("The lock's wires cannot be read any more.")
        try:
            self.lockset.rest()
        except RelayFault as fault:
            log.error("The lock did not go into its fail state: %s", fault)  # noqa: TRY400 - the sentence is the fact
