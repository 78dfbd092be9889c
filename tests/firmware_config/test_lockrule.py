"""Which commands a lock obeys."""

from __future__ import annotations

import pytest

from firmware_config.keys import SecretKey
from firmware_config.lockrule import LockRule, sign_command
from firmware_config.messages import LockCommand, MessageRefused, decode, encode

KEY = SecretKey(bytes(32))
DOOR = "office/front"


def fresh(rule: LockRule, key: SecretKey = KEY, door: str = DOOR) -> LockCommand:
    return sign_command(key, door, "unlock", rule.book.current, 3000)


def code(rule: LockRule, command: LockCommand, *, retained: bool = False, now: float = 0.1) -> str:
    refusal = rule.judge(command, retained=retained, now=now)
    return refusal.code if refusal else "obeyed"


def test_a_command_that_was_long_on_its_way_is_too_late() -> None:
    """The door counts from when it heard the challenge, the lock from when it gave it."""
    rule = LockRule(KEY, DOOR, 0.0)
    command = sign_command(KEY, DOOR, "unlock", rule.book.current, 3000, good_ms=450)
    assert code(rule, command, now=0.451) == "late_command"
    assert code(rule, command, now=0.46) == "spent_challenge"
    in_time = sign_command(KEY, DOOR, "unlock", rule.book.current, 3000, good_ms=450)
    assert code(rule, in_time, now=0.451 + 0.449) == "obeyed"


@pytest.mark.parametrize("change", [{"good_ms": None}, {"good_ms": 4000}])
def test_nobody_gives_a_command_more_time(change: dict[str, int | None]) -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    command = sign_command(KEY, DOOR, "unlock", rule.book.current, 3000, good_ms=450)
    assert code(rule, command.model_copy(update=change), now=1.0) == "bad_mac"


def test_a_fresh_command_is_obeyed_once() -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    command = fresh(rule)
    assert code(rule, command) == "obeyed"
    assert code(rule, command) == "spent_challenge"


def test_it_survives_the_wire() -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    assert code(rule, decode(LockCommand, encode(fresh(rule)), "lock/command")) == "obeyed"


def test_a_retained_command_is_refused_and_its_challenge_stays_good() -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    command = fresh(rule)
    assert code(rule, command, retained=True) == "retained"
    assert code(rule, command) == "obeyed"


def test_a_command_for_another_door_is_refused_even_with_this_locks_key() -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    assert code(rule, fresh(rule, door="office/back")) == "foreign_door"


@pytest.mark.parametrize(
    "change",
    [
        {"action": "lock"},
        {"hold_ms": 60000},
        {"mac": "0" * 64},
        {"challenge": "0" * 32},
    ],
)
def test_a_changed_command_is_refused_and_spends_nothing(change: dict[str, object]) -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    command = fresh(rule)
    assert code(rule, command.model_copy(update=change)) == "bad_mac"
    assert code(rule, command) == "obeyed"


def test_another_key_is_refused() -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    assert code(rule, fresh(rule, key=SecretKey.generate())) == "bad_mac"


def test_a_delayed_command_is_dead_after_four_seconds() -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    command = fresh(rule)
    assert code(rule, command, now=4.0) == "stale_challenge"
    rule = LockRule(KEY, DOOR, 0.0)
    command = fresh(rule)
    rule.book.rotate(2.0)
    assert code(rule, command, now=3.9) == "obeyed"


def test_a_restart_voids_what_is_on_its_way() -> None:
    command = fresh(LockRule(KEY, DOOR, 0.0))
    assert code(LockRule(KEY, DOOR, 0.0), command) == "spent_challenge"


@pytest.mark.parametrize("hold", [0, 199, 60001, -1])
def test_a_hold_time_out_of_range_does_not_read(hold: int) -> None:
    rule = LockRule(KEY, DOOR, 0.0)
    payload = encode(fresh(rule)).replace(b"3000", str(hold).encode())
    with pytest.raises(MessageRefused, match="hold_ms"):
        decode(LockCommand, payload, "lock/command")
