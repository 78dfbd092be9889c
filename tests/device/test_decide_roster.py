"""Whom the door may let in by its list: spans of validity, a lock-down, a list that changes during a visit."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from firmware_config.face import Reason
from tests.deciding import NOON, POLICY, REFUSED_UNKNOWN, Door, near, roster
from tests.makers import person


@pytest.mark.parametrize(
    ("valid", "outcome"),
    [
        ({"valid_from": NOON}, "granted"),
        ({"valid_from": NOON + timedelta(seconds=1)}, "denied"),
        ({"valid_until": NOON}, "denied"),
        ({"valid_until": NOON + timedelta(seconds=1)}, "granted"),
        ({"valid_until": (NOON + timedelta(hours=1)).astimezone(timezone(timedelta(hours=-8)))}, "granted"),
    ],
)
def test_validity_is_a_half_open_span(valid: dict[str, datetime], outcome: str) -> None:
    door = Door(roster(people=(person("Ada", 1, **valid),)))
    door.frames(10, near("Ada", 0.3))
    assert [d.outcome for d in door.decisions] == [outcome]
    if outcome == "denied":
        assert door.told() == [("denied", Reason.NOT_VALID_NOW, "Ada")]


def test_a_door_that_is_locked_down_lets_nobody_in_and_says_whom_it_kept_out() -> None:
    door = Door(roster(POLICY.model_copy(update={"locked_down": True})))
    door.frames(20, near("Ada", 0.2))
    assert [(one.outcome, one.reason, one.person_id) for one in door.decisions] == [
        ("denied", Reason.LOCKED_DOWN, "id-Ada")
    ]
    door.frames(40, face=False)
    door.frames(20, near("Ada", 1.2))
    assert [one.reason for one in door.decisions[1:]] == [Reason.UNKNOWN_FACE], "a stranger is a stranger all the same"
    door.decider.adopt(roster())
    door.frames(40, face=False)
    door.frames(3, near("Ada", 0.2))
    assert door.decisions[-1].outcome == "granted"


def test_a_door_without_a_roster_refuses_everybody() -> None:
    door = Door(known=False)
    door.frames(10)
    assert door.told() == [("denied", Reason.NO_ROSTER, "")]


def test_a_roster_with_nobody_in_it_knows_nobody() -> None:
    door = Door(roster(people=()))
    door.frames(10, None)
    assert door.told() == [REFUSED_UNKNOWN]


def test_somebody_erased_mid_vote_is_not_let_in() -> None:
    door = Door()
    door.frames(2, near("Ada", 0.3))
    door.decider.adopt(roster(people=(person("Bob", 2),)))
    door.frames(10, near("Ada", 0.3))
    assert door.told() == [REFUSED_UNKNOWN]


def test_a_new_roster_voids_votes_cast_under_the_old_one() -> None:
    door = Door()
    door.frames(2, near("Ada", 0.3))
    door.decider.adopt(roster())
    door.frames(2, near("Ada", 0.3))
    assert door.opened == 0
    door.frame(near("Ada", 0.3))
    assert door.opened == 1
