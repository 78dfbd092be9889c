"""What an opened or closed leaf means, told as people, levers and loose wires at one door."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contact import FLAPPING_S, GRACE_S, SETTLE_S, ContactWatch, Settled
from firmware_config.messages import Contact

HELD_S = 30.0
EXIT_S = 5.0
TICK_S = 0.05


class Leaf:
    """A watched leaf and a clock; `told` is what the watch said."""

    def __init__(self, first: Contact | None = Contact.CLOSED, settled_in: bool = True) -> None:
        self.watch = ContactWatch(HELD_S, EXIT_S)
        self.now = 100.0
        self.told: list[str] = []
        self.in_hearing = True
        if first is not None:
            self.watch.hear(first, self.now)
            self.wait(0.5)
        if settled_in:
            self.wait(60)
            self.told.clear()

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            self.told += self.watch.step(self.now, self.in_hearing)

    def open(self, then_s: float = 1.0) -> None:
        self.watch.hear(Contact.OPEN, self.now)
        self.wait(then_s)

    def close(self, then_s: float = 1.0) -> None:
        self.watch.hear(Contact.CLOSED, self.now)
        self.wait(then_s)

    def grant(self, hold_s: float = 3.0) -> None:
        self.watch.permit(hold_s, self.now)


def test_somebody_who_was_let_in_is_nothing_to_tell() -> None:
    door = Leaf()
    door.grant()
    door.wait(2)
    door.open()
    assert door.watch.contact == "open"
    door.close()
    assert door.told == []
    assert door.watch.contact == "closed"


def test_a_lever_is_told_until_the_door_is_closed_again() -> None:
    door = Leaf()
    door.open()
    assert door.told == ["forced_open"]
    assert door.watch.forced_open
    door.wait(5)
    assert door.told == ["forced_open"]
    door.close()
    assert door.told == ["forced_open", "door_closed"]
    assert not door.watch.forced_open


def test_an_opening_belongs_to_the_grant_for_its_hold_and_a_little_longer() -> None:
    door = Leaf()
    door.grant(3)
    door.wait(3 + GRACE_S - 0.2)
    door.open()
    assert door.told == []
    late = Leaf()
    late.grant(3)
    late.wait(3 + GRACE_S + 0.2)
    late.open()
    assert late.told == ["forced_open"]


def test_the_button_inside_lets_out_and_is_told_once_for_a_hurried_thumb() -> None:
    door = Leaf()
    for _ in range(3):
        door.watch.exit(door.now)
        door.wait(0.3)
    door.open()
    door.close()
    assert door.told == ["exit_requested"]


def test_a_door_that_stands_open_is_told_once_and_again_when_it_is_closed() -> None:
    door = Leaf()
    door.grant()
    door.open(HELD_S - 1)
    assert door.told == []
    door.wait(60)
    assert door.told == ["held_open"]
    assert door.watch.held_open
    door.close()
    assert door.told == ["held_open", "door_closed"]
    assert not door.watch.held_open


def test_a_forced_door_that_stays_open_is_held_too() -> None:
    door = Leaf()
    door.open(HELD_S + 5)
    door.close()
    assert door.told == ["forced_open", "held_open", "door_closed"]


def test_a_bouncing_contact_is_one_opening() -> None:
    door = Leaf()
    door.grant()
    for _ in range(5):
        door.watch.hear(Contact.OPEN, door.now)
        door.now += 0.01
        door.watch.hear(Contact.CLOSED, door.now)
        door.now += 0.01
        assert door.watch.step(door.now, True) == []
    assert door.watch.contact == "closed"
    door.open()
    assert (door.told, door.watch.contact) == ([], "open")


def test_a_contact_that_never_keeps_still_counts_as_open() -> None:
    door = Leaf()
    for _ in range(round(3 * FLAPPING_S / TICK_S)):
        door.watch.hear(Contact.OPEN if round(door.now / TICK_S) % 2 else Contact.CLOSED, door.now)
        door.wait(TICK_S)
    assert door.told == ["forced_open"]
    door.close()
    assert door.told == ["forced_open", "door_closed"]


def test_a_loose_contact_is_told_now_and_then_and_shown_all_the_time() -> None:
    door = Leaf()
    for _ in range(40):
        door.open(0.25)
        assert door.watch.forced_open
        door.close(0.25)
    assert door.told == ["forced_open", "door_closed"] * 2


def test_open_at_the_start_is_a_notice_of_its_own() -> None:
    door = Leaf(Contact.OPEN, settled_in=False)
    assert door.told == ["found_open"]
    assert not door.watch.forced_open
    door.wait(HELD_S + 1)
    door.close()
    assert door.told == ["found_open", "held_open", "door_closed"]


def test_whoever_was_let_in_before_a_restart_is_no_burglar_after_it() -> None:
    door = Leaf(Contact.CLOSED, settled_in=False)
    door.open()
    door.close()
    assert door.told == ["found_open", "door_closed"]
    door.wait(EXIT_S + GRACE_S)
    door.open()
    assert door.told[2:] == ["forced_open"]


def test_what_happened_out_of_hearing_is_found_not_forced() -> None:
    door = Leaf()
    door.in_hearing = False
    door.wait(5)
    assert door.watch.contact == "unknown"
    door.open(5)
    assert door.told == []
    door.in_hearing = True
    door.wait(1)
    assert door.told == ["found_open"]
    assert door.watch.contact == "open"


def test_a_forced_door_stays_forced_while_nobody_hears_it() -> None:
    door = Leaf()
    door.open()
    door.in_hearing = False
    door.wait(10)
    assert door.watch.forced_open
    door.in_hearing = True
    door.wait(1)
    assert door.told == ["forced_open"], "nothing new"
    door.close()
    assert door.told == ["forced_open", "door_closed"]


def test_a_gap_while_the_door_stays_closed_is_nothing_to_tell() -> None:
    door = Leaf()
    for _ in range(5):
        door.watch.lose(door.now)
        door.wait(10)
    assert door.told == []
    assert door.watch.contact == "closed"


def test_a_door_without_a_contact_says_nothing() -> None:
    door = Leaf(None)
    door.grant()
    door.wait(100)
    assert (door.told, door.watch.contact) == ([], "unknown")
    door.watch.exit(door.now)
    door.wait(1)
    assert door.told == ["exit_requested"]


@pytest.mark.parametrize("still_s", [0.0, SETTLE_S])
def test_a_reading_is_believed_when_it_kept_still(still_s: float) -> None:
    reading: Settled[int] = Settled(still_s)
    assert reading.at(0.0) is None
    reading.hear(1, 1.0)
    assert reading.at(1.0 + still_s) == 1
    reading.hear(2, 2.0)
    reading.hear(1, 2.0 + still_s / 2)
    assert reading.at(9.0) == 1


news = st.sampled_from(["open", "close", "grant", "exit", "lose", "deaf", "hearing", "wait", "wait long"])


@given(st.lists(news, max_size=60))
def test_whatever_happens_alarms_go_with_an_open_door_and_end_with_a_closed_one(story: list[str]) -> None:
    door = Leaf(settled_in=False)
    acts = {
        "open": lambda: door.open(0.2),
        "close": lambda: door.close(0.2),
        "grant": door.grant,
        "exit": lambda: door.watch.exit(door.now),
        "lose": lambda: door.watch.lose(door.now),
        "deaf": lambda: setattr(door, "in_hearing", False),
        "hearing": lambda: setattr(door, "in_hearing", True),
        "wait": lambda: door.wait(1),
        "wait long": lambda: door.wait(40),
    }
    for act in story:
        acts[act]()
        if door.watch.contact == "closed":
            assert not door.watch.forced_open
            assert not door.watch.held_open
    door.in_hearing = True
    door.close(1)
    assert not door.watch.forced_open
    odd = [told for told in door.told if told != "exit_requested"]
    for before, after in pairwise(odd):
        assert (before, after) != ("door_closed", "door_closed")
        assert before != "forced_open" or after in ("held_open", "door_closed")
