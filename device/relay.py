"""What moves the bolt: a relay on a pin, or one that only says what it would do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from firmware_config.errors import BadState
from firmware_config.messages import LockState

log = logging.getLogger("latchkey.relay")


class RelayFault(BadState):
    """The relay did not do what it was told. The door counts as jammed until a command works again."""


class Relay(Protocol):
    """Two commands. Both raise RelayFault."""

    def on(self) -> None:
        """Let the strike go: the door can be opened."""

    def off(self) -> None:
        """The resting state, which is also what a dead process leaves behind."""


class SimulatedRelay:
    """Prints what a relay would do, counts it, and can be told to jam."""

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self._say = say
        self.jammed = False
        self.is_on = False
        self.times_on = 0

    def on(self) -> None:
        if self.jammed:
            raise RelayFault("The simulated relay is jammed.")
        self.is_on = True
        self.times_on += 1
        self._say("The lock opens.")

    def off(self) -> None:
        self.is_on = False
        self._say("The lock shuts.")


class GpioRelay:
    """A relay on a GPIO pin of this board."""

    def __init__(self, pin: int, active_high: bool = True) -> None:
        """pin: BCM number. Raises BadState when gpiozero or the pin cannot be used."""
        try:
            # Only where a relay hangs on the board: gpiozero looks for hardware as soon as a pin is named.
            from gpiozero import OutputDevice  # noqa: PLC0415
        except ImportError as error:
            raise BadState("A relay on this board needs gpiozero: pip install 'latchkey[device,gpio]'.") from error
        try:
            self._output = OutputDevice(pin, active_high=active_high, initial_value=False)
        except Exception as error:
            # gpiozero raises a family of its own and its pin libraries theirs; all mean the same here.
            raise BadState(
                f"GPIO {pin} cannot be used ({error}). Is this a board with GPIO, is the user in the group "
                "gpio, and is no other program holding the pin?"
            ) from error

    def on(self) -> None:
        self._switch(self._output.on)

    def off(self) -> None:
        self._switch(self._output.off)

    def close(self) -> None:
        """Give the pin back, relay off."""
        self._output.close()

    def _switch(self, move: Callable[[], None]) -> None:
        try:
            move()
        except Exception as error:
            raise RelayFault(f"The relay does not answer: {error}.") from error


class Latch:
    """A relay that goes back by itself. Used by the lock, and by a door with the relay on its own board.

    The way back runs on a timer thread of its own, so that nothing else that hangs can keep a door open.
    """

    def __init__(self, relay: Relay, on_change: Callable[[LockState], None] = lambda _state: None) -> None:
        """on_change: called with each new state, from whichever thread made it."""
        self._relay = relay
        self._on_change = on_change
        self._guard = threading.Lock()
        self._timer: threading.Timer | None = None
        self.state = LockState.LOCKED

    def open(self, hold_ms: int) -> None:
        """On now, off after hold_ms; a second call begins the time anew. Raises RelayFault."""
        with self._guard:
            self._stop_timer()
            try:
                self._relay.on()
            except RelayFault:
                self._change(LockState.JAMMED)
                raise
            self._timer = threading.Timer(hold_ms / 1000, self._time_is_up)
            self._timer.daemon = True
            self._timer.start()
            self._change(LockState.UNLOCKED)

    def shut(self) -> None:
        """Off now. Raises RelayFault."""
        with self._guard:
            self._stop_timer()
            try:
                self._relay.off()
            except RelayFault:
                self._change(LockState.JAMMED)
                raise
            self._change(LockState.LOCKED)

    def _time_is_up(self) -> None:
        try:
            self.shut()
        except RelayFault as fault:
            # Nobody waits for this thread; the state JAMMED is published and says it.
            log.error("The door may be open: %s", fault)  # noqa: TRY400 - the sentence is the fact

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _change(self, state: LockState) -> None:
        self.state = state
        self._on_change(state)
