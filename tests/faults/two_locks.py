"""Both locks at once, with time handed in: the Python actuator, and the firmware's C++ built for this machine."""

from __future__ import annotations

import itertools
import json
import random
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from device.actuator import LockActuator
from device.relay import SimulatedRelay
from firmware_config.pairing import LockPairing
from firmware_config.settings import BrokerSettings
from tests.faults.forger import KEY, TOPICS
from tests.lock_firmware import Firmware
from tests.logs import only_errors

NOWHERE = BrokerSettings(url="mqtt://127.0.0.1:1")
KEY_HEX = bytes(range(32)).hex()
GRAIN_MS = 7
"""All times are multiples of it, and no limit of the rule is: at a limit, seconds as floats and whole milliseconds
may round to different sides. The vectors in tests/contract stand on the limits."""
LONGEST_HOLD_MS = 60_004
SLEEPS = 0.2
"""Share of waits in which the lock's loop stands still: age counts, not the number of beats."""

NO_COMMAND, OBEYED = "no_command", "obeyed"
KNOWN = {("retained", "spent_challenge")}
"""(Python, C++): ESPHome does not say what was retained; such a command comes after a connection has begun anew, and
its challenge is from before (docs/lock.md)."""


@contextmanager
def numbered_challenges() -> Iterator[None]:
    """1, 2, 3 ... for the Python rule too, as the host's double of the chip draws them."""
    numbers = itertools.count(1)
    with mock.patch.object(secrets, "token_hex", side_effect=lambda _bytes: f"{next(numbers):032x}"):
        yield


class TwoLocks:
    """A Target. opened: attacks that either lock obeyed; differences: what they answered differently; in sentences."""

    def __init__(self, draw: random.Random, program: Path | None) -> None:
        """program: the firmware as tests.lock_firmware builds it; None: the Python lock alone."""
        self._draw = draw
        self._ms = GRAIN_MS
        self._everything = ExitStack()
        self._everything.enter_context(only_errors())
        self._everything.enter_context(numbered_challenges())
        self._relay = SimulatedRelay(say=lambda _line: None)
        self._python = self._started()
        self._firmware = self._everything.enter_context(Firmware(program, KEY_HEX, TOPICS.door_id)) if program else None
        self.opened: list[str] = []
        self.differences: list[str] = []
        if self._firmware is not None:
            self._firmware.at(self._ms)
            self._firmware.connect()

    def __enter__(self) -> TwoLocks:
        return self

    def __exit__(self, *_: object) -> None:
        self._python.latch.shut()
        self._everything.close()

    @property
    def challenge(self) -> str:
        if self._firmware is not None and self._firmware.challenge != self._python.challenge:
            raise AssertionError(f"challenges differ: {self._python.challenge}, {self._firmware.challenge}")
        return self._python.challenge

    def wait(self, ms: int) -> None:
        """The loops go on, or stand still, as chance will have it."""
        sleeps = self._draw.random() < SLEEPS
        until = self._ms + -(-ms // GRAIN_MS) * GRAIN_MS
        while self._ms < until:
            self._advance(until - self._ms if sleeps else min(until - self._ms, 98 * GRAIN_MS))
            if not sleeps:
                self._python.beat()
                if self._firmware is not None:
                    self._firmware.loop()

    def catch_up(self) -> None:
        """Both answer at once."""

    def restart(self) -> None:
        self._python.latch.shut()
        self._python = self._started()
        if self._firmware is not None:
            self._firmware.connect()

    def come_back_to(self, payload: bytes) -> None:
        self._python._connected()
        if self._firmware is not None:
            self._firmware.connect()
        self.attack(payload, retained=True)

    def attack(self, payload: bytes, *, retained: bool = False) -> None:
        answers = self._judge(payload, retained=retained)
        if OBEYED in answers:
            self.opened.append(f"opened (Python: {answers[0]}, C++: {answers[-1]}) by {payload!r}")

    def control(self, payload: bytes) -> bool:
        answers = self._judge(payload)
        if self._firmware is not None:
            self._firmware.order("beat")
        # The Python lock's bolt goes back by a real timer, on a starved machine before anybody looks; that it let go
        # is in the answer. The firmware's strike goes by the clock that is handed in.
        return set(answers) == {OBEYED} and (self._firmware is None or self._firmware.strike)

    def rest(self) -> None:
        self._advance(LONGEST_HOLD_MS)
        self._python.latch.shut()
        self._python.beat()
        if self._firmware is not None:
            self._firmware.order("beat")
            self._firmware.loop()

    def _judge(self, payload: bytes, *, retained: bool = False) -> tuple[str, ...]:
        python = self._by_python(payload, retained=retained)
        if self._firmware is None:
            return (python,)
        firmware = self._by_firmware(self._firmware, payload)
        if python != firmware and (python, firmware) not in KNOWN:
            self.differences.append(f"Python says {python}, C++ says {firmware} to {payload!r}")
        return python, firmware

    def _by_python(self, payload: bytes, *, retained: bool) -> str:
        before = self._relay.times_on
        result = self._python.obey(payload, retained=retained)
        if self._relay.times_on != before:
            return OBEYED  # whatever it says
        return NO_COMMAND if result is None else result.reason or "said that it obeyed, and did not"

    @staticmethod
    def _by_firmware(lock: Firmware, payload: bytes) -> str:
        open_before = lock.strike
        results = [json.loads(said.payload) for said in lock.obey(payload) if said.leaf == "result"]
        if any(result["accepted"] for result in results):
            return OBEYED
        lock.order("beat")
        if lock.strike and not open_before:
            return OBEYED
        return str(results[0]["reason"]) if results else NO_COMMAND

    def _started(self) -> LockActuator:
        return LockActuator(LockPairing(TOPICS, NOWHERE, KEY), self._relay, lambda: self._ms / 1000)

    def _advance(self, ms: int) -> None:
        self._ms += ms
        if self._firmware is not None:
            self._firmware.at(self._ms)
