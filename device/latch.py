"""A bolt that goes back by itself, and whose state is what can be read back, never what was commanded."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from device.relay import Relay, RelayFault
from firmware_config.messages import Contact, LockState

log = logging.getLogger("latchkey.latch")


class Latch:
    """One relay. Used by the lock, and by a door with the relay on its own board.

    Rules of `state`:
    - JAMMED: the last command failed, or the relay is not where it was told to be;
    - LOCKED: the bolt is held, and the contact, where there is one, says that the leaf is closed;
    - UNLOCKED: anything else.
    The way back runs on a timer thread of its own, so that nothing else that hangs can keep a door open.
    """

    def __init__(
        self,
        relay: Relay,
        on_change: Callable[[LockState], None] = lambda _state: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """on_change: called with each new state, from whichever thread made it. clock: monotonic seconds."""
        self._clock = clock
        self._relay = relay
        self._on_change = on_change
        self._guard = threading.Lock()
        self._timer: threading.Timer | None = None
        self._wanted_on = False
        self._failed = False
        self._leaf: Contact | None = None
        self.state = LockState.LOCKED

    def open(self, hold_ms: int, good_until: float = float("inf")) -> bool:
        """Let go now, hold again after hold_ms; a second call begins the time anew. Raises RelayFault.

        good_until: monotonic seconds; looked at last, since on a busy board even a lock and a thread take their time.
        False: it was too late, and nothing has changed.
        """
        with self._guard:
            timer = threading.Timer(hold_ms / 1000, lambda: self._time_is_up(timer))
            timer.daemon = True
            timer.start()
            if self._clock() > good_until:
                timer.cancel()
                return False
            self._stop_timer()
            self._timer = timer
            try:
                self._command(True)
            except RelayFault:
                self._stop_timer()
                with contextlib.suppress(RelayFault):
                    self._relay.off()  # it must not let go later, when nobody waits for it
                raise
            return True

    def shut(self) -> None:
        """Hold now. Raises RelayFault."""
        with self._guard:
            self._shut()

    def look(self, leaf: Contact | None = None) -> None:
        """Read everything back. leaf: what the contact says, None where there is none.

        A bolt that should be held and is not is told so again.
        """
        with self._guard:
            self._leaf = leaf
            if not self._wanted_on and not self._follows():
                try:
                    self._command(False)
                except RelayFault as fault:
                    log.debug("%s", fault)  # said when it began; the state JAMMED stands until it works
                return
            self._say()

    def rest(self) -> None:
        """The end: no current from here on. Raises RelayFault."""
        with self._guard:
            self._stop_timer()
            self._relay.rest()
            self._wanted_on = self._relay.is_on
            self._failed = False
            self._say()

    def _command(self, on: bool) -> None:
        self._wanted_on = on
        try:
            self._drive(on)
        except RelayFault:
            self._failed = True
            self._wanted_on = False
            self._say()
            raise
        self._failed = False
        self._say()

    def _drive(self, on: bool) -> None:
        (self._relay.on if on else self._relay.off)()
        if self._relay.is_on != on:
            raise RelayFault(f"The relay was told to {'let go' if on else 'hold'} and does not follow.")

    def _follows(self) -> bool:
        try:
            return self._relay.is_on == self._wanted_on
        except RelayFault:
            return False

    def _say(self) -> None:
        if self._failed or not self._follows():
            state = LockState.JAMMED
        elif self._wanted_on or self._leaf is Contact.OPEN:
            state = LockState.UNLOCKED
        else:
            state = LockState.LOCKED
        if state is not self.state:
            self.state = state
            self._on_change(state)

    def _shut(self) -> None:
        self._stop_timer()
        self._command(False)

    def _time_is_up(self, timer: threading.Timer) -> None:
        try:
            with self._guard:
                # It may have fired while the next opening began; what that one holds is not this one's to end.
                if timer is self._timer:
                    self._shut()
        except RelayFault as fault:
            # Nobody waits for this thread; the state JAMMED is published and says it.
            log.error("The door may be open: %s", fault)  # noqa: TRY400 - the sentence is the fact

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
