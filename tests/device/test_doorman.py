"""Who opened the leaf is judged by when it moved: not by when the loop heard of it, and by what the bolt did then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from device.contact import GRACE_S
from device.doorman import Doorman
from device.latch import Latch
from device.opening import Opener
from device.relay import SimulatedRelay
from firmware_config.broker import Incoming
from firmware_config.messages import Contact, LockState
from firmware_config.settings import LockSettings


class Doorstep:
    """A doorman who has seen a closed leaf for long, a relay on the board, and a clock that the test moves."""

    def __init__(self, kind: Any = "gpio") -> None:
        self.now = 100.0
        self.told: list[str] = []
        self.journal: Any = SimpleNamespace(has_room=True, tell=lambda _outcome, reason: self.told.append(reason))
        self.link: Any = SimpleNamespace(lock=SimpleNamespace(alive=True), show=lambda _hint: None)
        self.doorman = Doorman(self.link, LockSettings(kind=kind), lambda: self.now)
        self.latch = Latch(SimulatedRelay(lambda _line: None))
        self.opener = Opener(self.link, self.latch, self.journal, self.doorman)
        self.wired = kind == "gpio"
        self.leaf(Contact.CLOSED)
        self.loop(60)

    def leaf(self, contact: Contact) -> None:
        """The wires say so now, while the loop does what it does."""
        if self.wired:
            self.doorman.told.contact(contact)
        else:
            self.link.on_wires("lock/contact", Incoming("lock/contact", contact.value.encode(), retained=False))

    def loop(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            self.doorman.beat(self.journal)


@pytest.mark.parametrize("kind", ["gpio", "mqtt"])
def test_a_loop_that_was_busy_makes_no_burglar_of_a_member(kind: str) -> None:
    door = Doorstep(kind)
    door.doorman.permit(3000)
    door.now += 1.0
    door.leaf(Contact.OPEN)
    door.now += 5.0  # a long list is taken
    door.loop(1)
    assert door.told == []
    assert door.doorman.watch.contact == "open"


@pytest.mark.parametrize("kind", ["gpio", "mqtt"])
def test_a_burglar_is_seen_who_is_through_before_the_loop_is_back(kind: str) -> None:
    door = Doorstep(kind)
    door.leaf(Contact.OPEN)
    door.now += 2.0
    door.leaf(Contact.CLOSED)
    door.now += 4.0
    door.loop(1)
    assert door.told == ["forced_open", "door_closed"]


def test_a_hold_that_was_ended_excuses_no_lever_afterwards() -> None:
    door = Doorstep()
    assert door.opener.open(60_000) is None
    door.loop(5)
    assert door.opener.shut() is None
    assert door.latch.state is LockState.LOCKED
    door.loop(GRACE_S + 0.5)
    door.leaf(Contact.OPEN)
    door.loop(1)
    assert door.told == ["forced_open"]


def test_whoever_has_the_leaf_in_hand_when_the_hold_is_ended_may_open_it() -> None:
    door = Doorstep()
    assert door.opener.open(60_000) is None
    door.loop(5)
    assert door.opener.shut() is None
    door.loop(GRACE_S - 0.5)
    door.leaf(Contact.OPEN)
    door.loop(1)
    assert door.told == []


def test_a_hold_after_one_that_was_ended_counts() -> None:
    door = Doorstep()
    assert door.opener.open(60_000) is None
    assert door.opener.shut() is None
    assert door.opener.open(5000) is None
    door.loop(GRACE_S + 1)
    door.leaf(Contact.OPEN)
    door.loop(1)
    door.latch.shut()
    assert door.told == []
