"""The lock's wires: what it reads back, what the button does, and how it ends. Pins are gpiozero's mock pins."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from device.inputs import ControlledInputs, GpioInputs, gpio_inputs
from device.latch import Latch
from device.lockset import Lockset, LocksetThread, Told
from device.relay import GpioRelay, RelayFault, SimulatedRelay
from firmware_config.errors import BadState
from firmware_config.messages import Contact, LockState
from tests.waiting import until
from tests.wires import PlayedInputs

RELAY, CONTACT, EXIT = 17, 27, 22


def quiet_relay(*, fail_safe: bool = False) -> SimulatedRelay:
    return SimulatedRelay(lambda _line: None, fail_safe)


class Board:
    """A lockset, a clock, and what it told."""

    def __init__(self, relay: SimulatedRelay, leaf: Contact | None = None) -> None:
        self.inputs = PlayedInputs(leaf)
        self.now = 10.0
        self.states: list[LockState] = []
        self.contacts: list[Contact] = []
        self.exits = 0

        def count() -> None:
            self.exits += 1

        told = Told(self.states.append, self.contacts.append, count)
        self.lockset = Lockset(relay, self.inputs, told, exit_hold_s=0.3, clock=lambda: self.now)
        self.wait()

    def wait(self, seconds: float = 0.3) -> None:
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            self.lockset.beat()

    @property
    def state(self) -> LockState:
        return self.lockset.latch.state


def test_locked_needs_a_closed_leaf_and_a_bolt_that_is_held() -> None:
    board = Board(quiet_relay(), Contact.CLOSED)
    assert board.state is LockState.LOCKED
    board.lockset.latch.open(200)
    assert board.state is LockState.UNLOCKED
    board.inputs.leaf = Contact.OPEN
    board.wait()
    board.lockset.latch.shut()
    assert board.state is LockState.UNLOCKED, "a bolt that is out of an open door locks nothing"
    board.inputs.leaf = Contact.CLOSED
    board.wait()
    assert board.state is LockState.LOCKED
    assert board.contacts == [Contact.CLOSED, Contact.OPEN, Contact.CLOSED]
    assert board.states == [LockState.UNLOCKED, LockState.LOCKED]


def test_an_opening_that_comes_too_late_changes_nothing() -> None:
    relay, now = quiet_relay(), [100.0]
    latch = Latch(relay, clock=lambda: now[0])
    assert not latch.open(300, good_until=99.9)
    assert (relay.times_on, latch.state) == (0, LockState.LOCKED)
    assert latch.open(300, good_until=100.1)
    assert not latch.open(60_000, good_until=99.9)
    assert until(lambda: not relay.is_on, timeout_s=5), "the hold before it ends in time"


def test_a_hold_that_ends_while_the_next_begins_does_not_cut_it_short() -> None:
    relay, busy_s = quiet_relay(), [0.0]

    def clock() -> float:
        time.sleep(busy_s[0])
        return time.monotonic()

    latch = Latch(relay, clock=clock)
    latch.open(100)
    busy_s[0] = 0.3  # the first hold's timer fires within the second opening
    latch.open(60_000)
    time.sleep(0.2)
    assert relay.is_on
    latch.shut()


def test_a_relay_that_sticks_is_jammed_until_it_follows() -> None:
    relay = quiet_relay()
    board = Board(relay, Contact.CLOSED)
    board.lockset.latch.open(60_000)
    relay.jammed = True
    with pytest.raises(RelayFault):
        board.lockset.latch.shut()
    board.wait()
    assert (board.state, relay.is_on) == (LockState.JAMMED, True)
    relay.jammed = False
    board.wait()
    assert (board.state, relay.is_on) == (LockState.LOCKED, False), "it is told to hold until it does"


def test_a_relay_that_drops_out_by_itself_is_jammed() -> None:
    relay = quiet_relay()
    board = Board(relay)
    board.lockset.latch.open(60_000)
    relay.is_on = False
    board.wait()
    assert board.state is LockState.JAMMED
    board.lockset.latch.shut()
    assert board.state is LockState.LOCKED


def test_a_relay_that_lets_go_by_itself_is_held_again() -> None:
    relay = quiet_relay()
    board = Board(relay)
    relay.is_on = True
    board.wait(0.02)
    assert not relay.is_on


def test_the_button_opens_and_a_press_is_one_press() -> None:
    relay = quiet_relay()
    board = Board(relay, Contact.CLOSED)
    board.inputs.down = True
    board.wait(2)
    assert (board.exits, relay.times_on) == (1, 1)
    assert until(lambda: not relay.is_on, timeout_s=2), "holding the button down does not keep the door open"
    board.inputs.down = False
    board.wait()
    board.inputs.down = True
    board.wait()
    assert (board.exits, relay.times_on) == (2, 2)
    board.lockset.latch.shut()


def test_a_spark_on_the_buttons_wire_opens_nothing() -> None:
    board = Board(quiet_relay())
    board.inputs.down = True
    board.wait(0.02)
    board.inputs.down = False
    board.wait()
    assert board.exits == 0


def test_a_button_that_is_stuck_since_the_start_opens_nothing() -> None:
    relay = quiet_relay()
    inputs = PlayedInputs()
    inputs.down = True
    lockset = Lockset(relay, inputs, clock=iter(range(100)).__next__)
    for _ in range(20):
        lockset.beat()
    assert relay.times_on == 0


@pytest.mark.parametrize("fail_safe", [False, True])
def test_the_lock_ends_in_its_fail_state(fail_safe: bool) -> None:
    relay = quiet_relay(fail_safe=fail_safe)
    thread = LocksetThread(Lockset(relay, PlayedInputs()))
    assert until(lambda: not relay.is_on), "running, either kind is shut"
    thread.lockset.latch.open(60_000)
    assert relay.is_on
    thread.stop()
    assert relay.is_on == fail_safe
    assert thread.lockset.latch.state is (LockState.UNLOCKED if fail_safe else LockState.LOCKED)


@pytest.mark.parametrize("fail_safe", [False, True])
def test_a_lock_whose_wires_fall_over_ends_in_its_fail_state(fail_safe: bool) -> None:
    class Broken(PlayedInputs):
        def pressed(self) -> bool:
            raise ZeroDivisionError("the wires fell over")

    relay = quiet_relay(fail_safe=fail_safe)
    relay.is_on = not fail_safe
    thread = LocksetThread(Lockset(relay, Broken()))
    assert until(lambda: not thread.alive)
    assert relay.is_on == fail_safe


@pytest.mark.parametrize("active_high", [True, False])
@pytest.mark.parametrize("fail_safe", [False, True])
def test_current_at_the_pin(pins: MockFactory, fail_safe: bool, active_high: bool) -> None:
    relay = GpioRelay(RELAY, active_high, fail_safe)
    pin = pins.pin(RELAY)

    def current() -> bool:
        return bool(pin.state) == active_high

    assert (current(), relay.is_on) == (fail_safe, False), "from the first moment on the bolt is held"
    relay.on()
    assert (current(), relay.is_on) == (not fail_safe, True)
    relay.off()
    assert (current(), relay.is_on) == (fail_safe, False)
    relay.rest()
    assert (current(), relay.is_on) == (False, fail_safe)
    relay.close()


def test_a_pin_that_does_not_follow_is_a_jam(pins: MockFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = GpioRelay(RELAY)
    latch = Latch(relay)
    pin: Any = pins.pin(RELAY)
    monkeypatch.setattr(type(pin), "state", property(lambda _pin: 0, lambda _pin, _value: None))
    with pytest.raises(RelayFault, match="does not follow"):
        latch.open(200)
    assert latch.state is LockState.JAMMED
    relay.close()


def test_contact_and_button_at_the_pins(pins: MockFactory) -> None:
    inputs = GpioInputs(CONTACT, EXIT)
    assert (inputs.contact(), inputs.pressed()) == (Contact.OPEN, False), "cut wires: open, and nobody presses"
    pins.pin(CONTACT).drive_low()
    pins.pin(EXIT).drive_low()
    assert (inputs.contact(), inputs.pressed()) == (Contact.CLOSED, True)
    inputs.close()
    assert (inputs.contact(), inputs.pressed()) == (Contact.OPEN, False), "what cannot be read reads as cut"


def test_pins_that_are_not_named_are_not_touched(pins: MockFactory) -> None:
    inputs = gpio_inputs(None, None)
    assert (inputs.contact(), inputs.pressed()) == (None, False)
    only_button = GpioInputs(None, EXIT)
    assert only_button.contact() is None
    only_button.close()
    assert CONTACT not in {pin.info.name for pin in pins.pins.values()}


def test_a_pin_that_is_taken_is_said(pins: MockFactory) -> None:
    relay = GpioRelay(RELAY)
    with pytest.raises(BadState, match="GPIO 17"):
        GpioInputs(RELAY, EXIT)
    relay.close()


def test_words_in_a_pipe_play_the_wires(tmp_path: Path) -> None:
    relay = quiet_relay()
    pipe = tmp_path / "control"
    inputs = ControlledInputs(pipe, relay)
    assert (inputs.contact(), inputs.pressed()) == (Contact.CLOSED, False)
    time.sleep(0.15)
    pipe.write_text("op", encoding="ascii")
    assert inputs.contact() is Contact.CLOSED, "half a word is none yet"
    pipe.write_text("en\npress\nnonsense\n", encoding="ascii")
    assert (inputs.contact(), inputs.pressed()) == (Contact.OPEN, True)
    time.sleep(0.25)
    assert not inputs.pressed()
    pipe.write_text("jam\nclose\n", encoding="ascii")
    assert (inputs.contact(), relay.jammed) == (Contact.CLOSED, True)
    pipe.write_text("free\n", encoding="ascii")
    assert inputs.contact() is Contact.CLOSED
    assert not relay.jammed
    inputs.close()


def test_a_file_is_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "control").write_text("open\n", encoding="ascii")
    with pytest.raises(BadState, match="no named pipe"):
        ControlledInputs(tmp_path / "control", quiet_relay())
