"""What a lock reads besides its orders: the contact at the leaf and the button that asks to be let out."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from device.relay import SimulatedRelay
from firmware_config.errors import BadState
from firmware_config.messages import Contact

log = logging.getLogger("latchkey.inputs")

PRESS_S: Final = 0.2
"""How long a simulated press lasts, seconds: a quick one of a real thumb."""

UP_FIRST_S: Final = 0.1
"""For so long, seconds, a simulated button is up before a press, at the start and between two: a press is what the
lock sees go down."""

READ_BYTES: Final = 4096


class Inputs(Protocol):
    """Readings of now, as the wires say. Neither raises."""

    def contact(self) -> Contact | None:
        """None where there is no contact."""

    def pressed(self) -> bool:
        """True while the exit button is down."""

    def close(self) -> None:
        """Give everything back."""


class NoInputs:
    """A lock with neither contact nor button."""

    def contact(self) -> Contact | None:
        return None

    def pressed(self) -> bool:
        return False

    def close(self) -> None:
        return None


class GpioInputs:
    """A switch that is closed while the leaf is, and a button, each between its pin and ground.

    A cut wire therefore reads as an open door and as a button that nobody presses.
    """

    def __init__(self, contact_pin: int | None, exit_pin: int | None) -> None:
        """BCM numbers, None for what is not there. Raises BadState when gpiozero or a pin cannot be used."""
        try:
            from gpiozero import DigitalInputDevice  # noqa: PLC0415 - it looks for hardware as soon as it is loaded
        except ImportError as error:
            raise BadState("A contact on this board needs gpiozero: pip install 'latchkey[device,gpio]'.") from error
        self._complained = False
        self._devices: list[Any] = []
        try:
            self._contact = self._input(DigitalInputDevice, contact_pin)
            self._exit = self._input(DigitalInputDevice, exit_pin)
        except Exception as error:
            # gpiozero raises a family of its own and its pin libraries theirs; all mean the same here.
            self.close()
            raise BadState(
                f"GPIO {contact_pin} or {exit_pin} cannot be read ({error}). Is the user in the group gpio, and is "
                "no other program holding the pin?"
            ) from error

    def contact(self) -> Contact | None:
        if self._contact is None:
            return None
        return Contact.CLOSED if self._down(self._contact) else Contact.OPEN

    def pressed(self) -> bool:
        return self._exit is not None and self._down(self._exit)

    def close(self) -> None:
        for device in self._devices:
            device.close()

    def _input(self, make: Callable[..., Any], pin: int | None) -> Any:
        if pin is None:
            return None
        made = make(pin, pull_up=True)
        self._devices.append(made)
        return made

    def _down(self, device: Any) -> bool:
        try:
            down = bool(device.value)
        except Exception as error:  # noqa: BLE001 - as above; what cannot be read reads as a cut wire
            if not self._complained:
                log.error("An input does not answer: %s", error)  # noqa: TRY400 - the sentence is the fact
            self._complained = True
            return False
        self._complained = False
        return down


class ControlledInputs:
    """A contact and a button that somebody plays by writing words into a named pipe: `echo open > PIPE`.

    One word a line: `open` and `close` the leaf, `press` the button, `jam` and `free` the simulated relay.
    """

    def __init__(self, pipe: Path, relay: SimulatedRelay, clock: Callable[[], float] = time.monotonic) -> None:
        """pipe: made where it is not there. clock: monotonic seconds. Raises BadState."""
        self._relay = relay
        self._clock = clock
        self._leaf = Contact.CLOSED
        self._first_look: float | None = None
        self._presses: list[float] = []
        self._rest = b""
        try:
            with contextlib.suppress(FileExistsError):
                os.mkfifo(pipe, 0o600)
            if not stat.S_ISFIFO(pipe.stat().st_mode):
                raise BadState(f"{pipe} is there and is no named pipe. Remove it, or name another one.")
            # For reading and writing: with a writer of its own a pipe never ends when the others close it.
            self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            raise BadState(f"The pipe {pipe} cannot be used: {error}.") from error

    def contact(self) -> Contact | None:
        self._obey()
        return self._leaf

    def pressed(self) -> bool:
        if self._first_look is None:
            self._first_look = self._clock()
        self._obey()
        now = self._clock()
        self._presses = [at for at in self._presses if now - at < PRESS_S + UP_FIRST_S]
        return any(0 <= now - at < PRESS_S for at in self._presses)

    def close(self) -> None:
        os.close(self._pipe)

    def _obey(self) -> None:
        try:
            said = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + said).split(b"\n")
        for line in lines:
            self._do(line.strip().decode("ascii", "replace"))

    def _do(self, word: str) -> None:
        if word in ("open", "close"):
            self._leaf = Contact.OPEN if word == "open" else Contact.CLOSED
        elif word == "press":
            now = self._clock()
            before = self._presses[-1] + PRESS_S if self._presses else self._first_look
            self._presses.append(max(now, (now if before is None else before) + UP_FIRST_S))
        elif word in ("jam", "free"):
            self._relay.jammed = word == "jam"
        elif word:
            log.warning("%r is no word for a simulated lock: open, close, press, jam, free.", word)


def gpio_inputs(contact_pin: int | None, exit_pin: int | None) -> Inputs:
    """What hangs on this board's pins. Raises BadState when one cannot be used."""
    if contact_pin is None and exit_pin is None:
        return NoInputs()
    return GpioInputs(contact_pin, exit_pin)


def simulated_inputs(pipe: Path | None, relay: SimulatedRelay) -> Inputs:
    """Played through `pipe`; without one there is neither contact nor button. Raises BadState."""
    return ControlledInputs(pipe, relay) if pipe is not None else NoInputs()
