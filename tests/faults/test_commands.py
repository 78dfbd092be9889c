"""The attacks must be able to open a lock whose rule has a hole, or "0 opened" would say nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from firmware_config import lockrule
from firmware_config.keys import ChallengeBook, Refusal
from firmware_config.lockrule import LockRule
from firmware_config.messages import LockCommand
from tests.faults.commands import AT_THE_RULE, LONGEST_WAIT_MS
from tests.faults.forger import Forger, attack_by_turns
from tests.faults.two_locks import TwoLocks

ATTACKS = 400
Hole = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def locks() -> Iterator[TwoLocks]:
    with TwoLocks(random.Random(1), None) as python_alone:
        yield python_alone


def forger_of(locks: TwoLocks) -> Forger:
    draw = random.Random(2)
    forger = Forger(locks, draw, LONGEST_WAIT_MS)
    attack_by_turns(forger, draw, ATTACKS, AT_THE_RULE)
    return forger


def test_the_rule_as_it_is_refuses_all_and_obeys_the_door(locks: TwoLocks) -> None:
    forger = forger_of(locks)
    assert locks.opened == []
    assert (sum(forger.tried.values()), set(forger.tried)) == (ATTACKS, set(AT_THE_RULE))
    assert forger.lawful > len(AT_THE_RULE)
    assert forger.unopened == 0


def challenges_are_kept(patch: pytest.MonkeyPatch) -> None:
    real = ChallengeBook.take

    def take(book: ChallengeBook, challenge: str, now: float, good_ms: int | None = None) -> Refusal | None:
        issued = book._issued.get(challenge)
        refusal = real(book, challenge, now, good_ms)
        if issued is not None:
            book._issued[challenge] = issued
        return refusal

    patch.setattr(ChallengeBook, "take", take)


def evidence_does_not_grow_old(patch: pytest.MonkeyPatch) -> None:
    real = ChallengeBook.take
    patch.setattr(ChallengeBook, "take", lambda book, challenge, now, _good_ms: real(book, challenge, now, None))
    patch.setattr(ChallengeBook, "late_at", lambda *_: float("inf"))


def retained_ones_are_taken(patch: pytest.MonkeyPatch) -> None:
    real = LockRule.judge

    def judge(rule: LockRule, command: LockCommand, *, retained: bool, now: float) -> Refusal | None:
        return real(rule, command, retained=False, now=now)

    patch.setattr(LockRule, "judge", judge)


def any_mac_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lockrule.hmac, "compare_digest", lambda _one, _other: True)


@pytest.mark.parametrize(
    "hole",
    [challenges_are_kept, evidence_does_not_grow_old, retained_ones_are_taken, any_mac_will_do],
)
def test_a_hole_in_the_rule_is_found(locks: TwoLocks, monkeypatch: pytest.MonkeyPatch, hole: Hole) -> None:
    hole(monkeypatch)
    forger_of(locks)
    assert locks.opened
