"""What moves the bolt: a relay on a pin, or one that only says what it would do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from firmware_config.errors import BadState

log = logging.getLogger("latchkey.relay")


class RelayFault(BadState):
    """The relay did not do what it was told. The door counts as jammed until a command works again."""


class Relay(Protocol):
    """A strike or a magnet behind a relay. Everything raises RelayFault.

    A fail-secure strike needs current to let go; a fail-safe magnet needs current to hold. Whoever commands says
    what the door should do, and the relay knows what that means for its coil.
    """

    @property
    def is_on(self) -> bool:
        """Read back: the bolt is let go."""

    def on(self) -> None:
        """Let the bolt go: the door can be opened."""

    def off(self) -> None:
        """Hold the bolt: the door is shut."""

    def rest(self) -> None:
        """No current in the coil, which is also what a board without power leaves behind: shut where the lock is
        fail-secure, open where it is fail-safe."""


class SimulatedRelay:
    """Prints what a relay would do, counts it, and can be told to jam: then it stays as it is, whatever is said."""

    def __init__(self, say: Callable[[str], None] = print, fail_safe: bool = False) -> None:
        self._say = say
        self._fail_safe = fail_safe
        self.jammed = False
        self.is_on = fail_safe
        self.times_on = 0

    def on(self) -> None:
        if not self.jammed:
            self.is_on = True
            self.times_on += 1
            self._say("The lock opens.")

    def off(self) -> None:
        if self.is_on and not self.jammed:
            self.is_on = False
            self._say("The lock shuts.")

    def rest(self) -> None:
        self.is_on = self._fail_safe
        self._say(f"The lock is without current: {'open' if self.is_on else 'shut'}.")


class GpioRelay:
    """A relay on a GPIO pin of this board.

    A process that is killed outright commands nothing any more: whether its pin then falls back is the board's
    kernel's choice, and the next start puts it right. Wire the relay so that a pin without a driver has no current.
    """

    def __init__(self, pin: int, active_high: bool = True, fail_safe: bool = False) -> None:
        """pin: BCM number. The bolt is held from here on. Raises BadState when gpiozero or the pin cannot be used."""
        try:
            # Only where a relay hangs on the board: gpiozero looks for hardware as soon as a pin is named.
            from gpiozero import OutputDevice  # noqa: PLC0415
        except ImportError as error:
            raise BadState("A relay on this board needs gpiozero: pip install 'latchkey[device,gpio]'.") from error
        self._fail_safe = fail_safe
        try:
            self._output = OutputDevice(pin, active_high=active_high, initial_value=fail_safe)
        except Exception as error:
            # gpiozero raises a family of its own and its pin libraries theirs; all mean the same here.
            raise BadState(
                f"GPIO {pin} cannot be used ({error}). Is this a board with GPIO, is the user in the group "
                "gpio, and is no other program holding the pin?"
            ) from error

    @property
    def is_on(self) -> bool:
        try:
            current = bool(self._output.value)
        except Exception as error:
            raise RelayFault(f"The relay does not answer: {error}.") from error
        return current != self._fail_safe

    def on(self) -> None:
        self._current(self._fail_safe is False)

    def off(self) -> None:
        self._current(self._fail_safe)

    def rest(self) -> None:
        self._current(False)

    def close(self) -> None:
        """Give the pin back, no current."""
        self._output.close()

    def _current(self, flows: bool) -> None:
        try:
            (self._output.on if flows else self._output.off)()
        except Exception as error:
            raise RelayFault(f"The relay does not answer: {error}.") from error
