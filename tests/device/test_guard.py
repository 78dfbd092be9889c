"""The guard against guessing: what raises it, what it leaves open, and that no restart lifts it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from device.guard import GuardState, PersonGuard, load_guard, save_guard
from device.match import Match
from firmware_config.face import Reason
from firmware_config.keys import SecretKey
from tests.deciding import GRANTED_ADA, NOON, Door, near

KEY = SecretKey(bytes(range(32)))


def guess(door: Door, distance: float = 0.95) -> None:
    """One near miss: up to the camera and away."""
    door.frames(10, near("Ada", distance))
    door.nobody()


def test_five_near_misses_raise_the_guard_and_clear_matches_still_open() -> None:
    door = Door()
    for _ in range(4):
        guess(door)
    assert not door.decider.guard_raised(door.now)
    guess(door)
    assert door.decider.guard_raised(door.now)
    door.frames(10, near("Ada", 0.8))
    assert door.told()[-1] == ("denied", Reason.UNDER_GUARD, "Ada")
    door.nobody()
    door.frames(10, near("Ada", 0.6))
    assert door.told()[-1] == GRANTED_ADA
    door.now += 300
    assert not door.decider.guard_raised(door.now)
    door.frames(10, near("Ada", 0.8))
    assert door.told()[-1] == GRANTED_ADA


def test_guessing_at_one_person_is_no_trouble_for_another() -> None:
    door = Door()
    for _ in range(10):
        guess(door)
    door.frames(10, near("Bob", 0.8))
    assert door.told()[-1] == ("granted", Reason.GRANTED, "Bob")


def test_near_misses_of_now_this_and_now_that_one_do_not_add_up() -> None:
    door = Door()
    for name in ("Ada", "Bob") * 4:
        door.frames(10, near(name, 0.95))
        door.nobody()
    assert not door.decider.guard_raised(door.now)
    guess(door)
    assert door.decider.guard_raised(door.now), "the fifth of Ada"


def test_one_frame_that_happens_to_be_near_is_no_near_miss() -> None:
    door = Door()
    for _ in range(20):
        door.frames(2, near("Ada", 0.95))
        door.frames(8, near("Ada", 1.2))
        door.nobody()
    assert not door.decider.guard_raised(door.now)


def test_strangers_who_walk_past_never_raise_the_guard() -> None:
    door = Door()
    for _ in range(40):
        guess(door, 1.2)
    assert not door.decider.guard_raised(door.now)


def test_near_misses_long_apart_do_not_add_up() -> None:
    door = Door()
    for _ in range(20):
        guess(door)
        door.nobody(16)
    assert not door.decider.guard_raised(door.now)


def test_owners_who_are_let_in_at_the_second_look_are_no_near_misses() -> None:
    door = Door()
    for name in ("Ada", "Bob") * 10:
        door.frames(10, near(name, 0.95))
        door.frames(4, near(name, 0.6))
        door.nobody(1.6)
    assert door.opened == 20
    assert not door.decider.guard_raised(door.now)


def test_guessing_cannot_hide_in_one_endless_visit() -> None:
    door = Door()
    door.frames(15 * 62, near("Ada", 0.95))
    assert door.decider.guard_raised(door.now)


@pytest.mark.parametrize("after", [near("Ada", 0.95), None], ids=["to the end", "and poor frames again"])
def test_guessing_cannot_hide_behind_frames_that_are_too_poor_to_compare(after: Match | None) -> None:
    """The visit was refused before the first guess: that refusal must not be all that counts."""
    door = Door()
    for _ in range(5):
        assert not door.decider.guard_raised(door.now)
        door.frames(33, quality=Reason.TOO_SMALL)
        door.frames(4, near("Ada", 0.95))
        door.frames(40, after, quality=None if after else Reason.BLURRED)
        door.nobody()
    assert door.decider.guard_raised(door.now)


def test_a_look_that_is_over_before_the_refusal_counts_too() -> None:
    door = Door()
    for _ in range(5):
        door.frames(4, near("Ada", 0.95))
        door.nobody()
    assert door.decider.guard_raised(door.now)


def test_the_guard_survives_a_restart_and_a_jump_of_the_clock(tmp_path: Path) -> None:
    door = Door()
    path = tmp_path / "guard.json"
    assert door.decider.take_guard_change(door.now) is None
    for _ in range(5):
        guess(door)
    state = door.decider.take_guard_change(door.now)
    assert state is not None
    save_guard(path, state, KEY)
    again = Door(guard=load_guard(path, KEY))
    again.now = 5.0  # a board just booted
    again.wall = NOON + timedelta(days=400)
    again.frames(10, near("Ada", 0.8))
    assert again.told() == [("denied", Reason.UNDER_GUARD, "Ada")]
    again.now += 301
    again.frames(30, near("Ada", 0.8))
    assert again.opened == 1


def test_near_misses_are_remembered_over_a_restart() -> None:
    door = Door()
    for _ in range(4):
        guess(door)
    again = Door(guard=door.decider.take_guard_change(door.now))
    again.now = 5.0
    guess(again)
    assert again.decider.guard_raised(again.now)


def test_the_file_of_the_release_before_is_raised_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "guard.json"
    path.write_text('{"remaining_s": 120.0, "misses_ago_s": [3.0]}', encoding="ascii")
    assert load_guard(path, KEY) == GuardState(remaining_s=120.0)
    door = Door(guard=load_guard(path, KEY))
    door.frames(10, near("Bob", 0.8))
    assert door.told() == [("denied", Reason.UNDER_GUARD, "Bob")]


def test_the_file_forgets_whom_nobody_guesses_at(tmp_path: Path) -> None:
    door = Door()
    guess(door)
    door.nobody(61)
    door.frames(10, near("Bob", 0.95))
    door.nobody()
    state = door.decider.take_guard_change(door.now)
    assert state is not None
    assert list(state.people) == ["id-Bob"]


@pytest.mark.parametrize(
    "damage",
    [
        *(b"", b"{}", b"[1]", b"\xff", b"[" * 5000),
        *(b'{"remaining_s": NaN, "misses_ago_s": []}', b'{"remaining_s": 0, "people": [1]}'),
    ],
)
def test_a_damaged_guard_file_counts_as_raised(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "guard.json"
    assert load_guard(path, KEY) == GuardState()
    path.write_bytes(damage)
    assert load_guard(path, KEY).remaining_s > 0


def test_the_file_is_readable_with_the_doors_key_only_and_without_it_counts_as_raised(tmp_path: Path) -> None:
    path, state = tmp_path / "guard.json", GuardState(people={"id-Featherstonehaugh": PersonGuard(3.0, (1.0,))})
    save_guard(path, state, KEY)
    assert b"Featherstonehaugh" not in path.read_bytes()
    assert load_guard(path, KEY) == state
    assert load_guard(path, SecretKey.generate()).remaining_s > 0
    path.write_bytes(path.read_bytes()[:-1])
    assert load_guard(path, KEY).remaining_s > 0
