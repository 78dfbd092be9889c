"""How the demo check counts: by who stands there, once a walk-up, and never in favour of the door."""

from __future__ import annotations

from typing import Any

from admin_ui.demo.tally import Tally, percentiles
from device.demo_camera import walkup_script

SCRIPT = walkup_script("demo:?owners=31-32&strangers=1-2&walkups=8")


def granted(scene: int | str, person: str, delay_ms: float = 80.0) -> dict[str, Any]:
    return {
        "outcome": "granted",
        "scene": str(scene),
        "person": person,
        "stage_ms": {"frame_to_unlock": delay_ms},
    }


def denied(scene: int) -> dict[str, Any]:
    return {"outcome": "denied", "scene": str(scene), "person": "", "stage_ms": {}}


def owners_let_in() -> list[dict[str, Any]]:
    return [granted(visit.number, f"Person {visit.person}") for visit in SCRIPT if visit.is_owner]


def counted(events: list[dict[str, Any]]) -> Tally:
    tally = Tally()
    tally.add("front", SCRIPT, events)
    return tally


def test_owners_in_and_strangers_out_passes() -> None:
    strangers = [denied(visit.number) for visit in SCRIPT if not visit.is_owner]
    tally = counted(owners_let_in() + strangers)
    assert (tally.owner_walkups, tally.owner_granted) == (4, 4)
    assert (tally.stranger_walkups, tally.stranger_granted) == (4, 0)
    assert tally.frame_to_unlock_ms == [80.0] * 4
    assert tally.problems() == []


def test_a_stranger_let_in_fails_the_check_and_is_named() -> None:
    stranger = next(visit for visit in SCRIPT if not visit.is_owner)
    tally = counted([*owners_let_in(), granted(stranger.number, "Person 31")])
    assert tally.stranger_granted == 1
    assert f"Person {stranger.person} " in tally.problems()[0]
    assert "let in as Person 31" in tally.problems()[0]


def test_an_owner_let_in_as_somebody_else_counts_as_a_stranger() -> None:
    first = next(visit for visit in SCRIPT if visit.is_owner)
    other = 31 if first.person == 32 else 32
    tally = counted([granted(first.number, f"Person {other}")])
    assert (tally.owner_granted, tally.stranger_granted) == (0, 1)


def test_two_grants_in_one_walkup_are_one_owner() -> None:
    events = owners_let_in()
    assert counted(events + events[:1]).owner_granted == 4


def test_a_walkup_that_nothing_was_said_about_still_counts() -> None:
    tally = counted([])
    assert (tally.owner_walkups, tally.stranger_walkups) == (4, 4)
    assert "Of 4 owner walk-ups 0 were let in" in tally.problems()[0]


def test_fewer_owners_may_be_enough_but_never_one_stranger() -> None:
    assert counted([]).problems(owners_wanted=0.0) == []
    stranger = next(visit for visit in SCRIPT if not visit.is_owner)
    assert len(counted([granted(stranger.number, "Person 31")]).problems(owners_wanted=0.0)) == 1


def test_a_grant_with_nobody_there_is_a_stranger() -> None:
    tally = counted([*owners_let_in(), granted("", "Person 31")])
    assert tally.stranger_granted == 1


def test_a_grant_before_the_counted_walkups_is_left_out() -> None:
    tally = Tally()
    tally.add("front", SCRIPT[2:], owners_let_in())
    assert (tally.owner_walkups, tally.owner_granted) == (3, 3)


def test_percentiles_of_none_one_and_many() -> None:
    assert percentiles([]) == {"p50": None, "p95": None}
    assert percentiles([12.34]) == {"p50": 12.3, "p95": 12.3}
    assert percentiles([float(n) for n in range(101)]) == {"p50": 50.0, "p95": 95.0}
