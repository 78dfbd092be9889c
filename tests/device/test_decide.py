"""What the door decides, told as people walking up to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.decide import Observation
from firmware_config.face import Reason
from firmware_config.roster import Policy
from tests.deciding import GRANTED_ADA, NOON, POLICY, REFUSED_UNKNOWN, Door, near, roster


def test_an_owner_walks_up_and_is_let_in_on_the_third_frame() -> None:
    door = Door()
    door.frames(4, quality=Reason.TOO_SMALL)
    door.frames(2, near("Ada", 0.5))
    assert door.decisions == []
    decision = door.frame(near("Ada", 0.4, 1.3))
    assert decision is not None
    assert (decision.outcome, decision.person_id, decision.distance, decision.runner_up) == (
        "granted",
        "id-Ada",
        0.4,
        1.3,
    )
    assert (decision.hold_ms, decision.sequence) == (3000, 7)
    assert decision.observed_at == pytest.approx(door.now - 0.03)


def test_a_stranger_is_refused_once_however_long_they_look() -> None:
    door = Door()
    door.frames(60, near("Ada", 1.3))
    assert door.told() == [REFUSED_UNKNOWN]
    assert door.decisions[0].sequence == 5
    assert door.decisions[0].distance == 1.3
    door.nobody()
    assert door.told() == [REFUSED_UNKNOWN]


def test_stranger_then_owner() -> None:
    door = Door()
    door.frames(20, near("Ada", 1.3))
    door.nobody()
    door.frames(10, near("Ada", 0.5))
    assert door.told() == [REFUSED_UNKNOWN, GRANTED_ADA]


def test_owner_then_stranger() -> None:
    door = Door()
    door.frames(10, near("Ada", 0.5))
    door.nobody()
    door.frames(20, near("Ada", 1.3))
    assert door.told() == [GRANTED_ADA, REFUSED_UNKNOWN]


def test_somebody_refused_at_first_may_still_be_let_in_on_the_same_visit() -> None:
    door = Door()
    door.frames(10, near("Ada", 1.0))
    door.frames(3, near("Ada", 0.5))
    assert door.told() == [REFUSED_UNKNOWN, GRANTED_ADA]


def test_nobody_who_was_let_in_is_refused_on_the_same_visit() -> None:
    door = Door()
    door.frames(5, near("Ada", 0.5))
    door.frames(60, quality=Reason.TURNED_AWAY)
    door.frames(60, near("Ada", 1.1))
    assert door.told() == [GRANTED_ADA]


def test_a_lucky_frame_or_two_open_nothing() -> None:
    door = Door()
    for _ in range(10):
        door.frames(2, near("Ada", 0.5))
        door.frames(3, near("Ada", 1.2))
    assert door.opened == 0


def test_votes_of_two_people_do_not_add_up() -> None:
    door = Door()
    for _ in range(20):
        door.frame(near("Ada", 0.5))
        door.frames(2, near("Ada", 1.2))
        door.frame(near("Bob", 0.5))
        door.frame(near("Bob", 1.2))
    assert door.told() == [REFUSED_UNKNOWN]
    alternating = Door(roster(Policy(tau=0.9, tau_strict=0.7, votes_needed=4)))
    for _ in range(20):
        alternating.frame(near("Ada", 0.5))
        alternating.frame(near("Bob", 0.5))
    assert [d.reason for d in alternating.decisions] == [Reason.AMBIGUOUS]


def test_two_people_within_tau_and_close_together_are_ambiguous() -> None:
    door = Door()
    door.frames(10, near("Ada", 0.5, 0.54))
    assert door.told() == [("denied", Reason.AMBIGUOUS, "Ada")]
    clear = Door()
    clear.frames(10, near("Ada", 0.5, 0.56))
    assert clear.told() == [GRANTED_ADA]
    outside = Door()
    outside.frames(10, near("Ada", 0.88, 0.91))
    assert outside.told() == [GRANTED_ADA]


def test_each_frame_counts_once() -> None:
    door = Door()
    seen = Observation(1000.0, 1, None, near("Ada", 0.3))
    for _ in range(10):
        assert door.decider.step(seen, 1000.1, NOON) is None
    again = Observation(1000.0, 2, None, near("Ada", 0.3))
    assert door.decider.step(again, 1000.1, NOON) is None
    before = Observation(1000.05, 1, None, near("Ada", 0.3))
    assert door.decider.step(before, 1000.1, NOON) is None


@pytest.mark.parametrize("age", [0.51, 5.0, -0.2])
def test_a_stale_frame_opens_nothing(age: float) -> None:
    door = Door()
    door.frames(100, near("Ada", 0.3), age=age)
    assert door.told() == [("denied", Reason.STALE_FRAME, "")]
    assert door.decisions[0].distance is None


def test_a_slow_camera_still_opens_as_long_as_its_frames_are_fresh() -> None:
    door = Door()
    door.frames(3, near("Ada", 0.3), step=0.6, age=0.4)
    assert door.opened == 1


def test_votes_too_far_apart_are_not_one_look() -> None:
    door = Door()
    for _ in range(6):
        door.frame(near("Ada", 0.3), step=0.9)
        door.frame(face=False, step=0.2)
    assert door.opened == 0


def test_the_camera_dies_mid_vote() -> None:
    door = Door()
    door.frames(2, near("Ada", 0.3))
    door.now += 30.0
    door.frame(near("Ada", 0.3))
    assert door.opened == 0


def test_too_dark_all_the_time_is_said_after_a_while() -> None:
    door = Door()
    door.frames(25, quality=Reason.TOO_DARK)
    assert door.decisions == []
    door.frames(20, quality=Reason.TOO_DARK)
    assert door.told() == [("denied", Reason.TOO_DARK, "")]


def test_of_bad_frames_the_newest_tells() -> None:
    door = Door()
    door.frames(29, quality=Reason.TOO_SMALL)
    door.frames(10, quality=Reason.BLURRED)
    assert door.told() == [("denied", Reason.BLURRED, "")]


def test_a_stranger_who_was_too_far_away_at_first_is_told_apart_once_they_are_compared() -> None:
    door = Door()
    door.frames(40, quality=Reason.TOO_SMALL)
    door.frames(60, near("Ada", 1.3))
    door.frames(40, quality=Reason.BLURRED)
    door.nobody()
    assert door.told() == [("denied", Reason.TOO_SMALL, ""), REFUSED_UNKNOWN]
    assert door.decisions[1].distance == 1.3


def test_a_look_after_poor_frames_that_is_over_at_once_is_refused_at_its_end() -> None:
    door = Door()
    door.frames(40, quality=Reason.TOO_SMALL)
    door.frames(4, near("Ada", 1.3))
    assert door.told() == [("denied", Reason.TOO_SMALL, "")]
    door.nobody()
    assert door.told() == [("denied", Reason.TOO_SMALL, ""), REFUSED_UNKNOWN]


def test_poor_frames_are_told_once_a_visit() -> None:
    door = Door()
    for _ in range(4):
        door.frames(35, quality=Reason.TOO_SMALL)
        door.frames(3, near("Ada", 1.3))
        door.frames(2, near("Ada", 0.5))
    door.nobody()
    assert door.told() == [("denied", Reason.TOO_SMALL, ""), REFUSED_UNKNOWN]


def test_an_owner_who_was_too_far_away_at_first_is_let_in_without_another_refusal() -> None:
    door = Door()
    door.frames(40, quality=Reason.TOO_SMALL)
    door.frames(60, near("Ada", 0.5))
    door.nobody()
    assert door.told() == [("denied", Reason.TOO_SMALL, ""), GRANTED_ADA]


def test_somebody_who_passes_by_is_not_refused() -> None:
    door = Door()
    door.frames(2, near("Ada", 1.3))
    door.nobody()
    assert door.decisions == []


def test_a_short_visit_that_could_have_opened_is_refused_at_its_end() -> None:
    door = Door()
    door.frames(4, near("Ada", 1.3))
    door.nobody()
    assert door.told() == [REFUSED_UNKNOWN]


def test_after_a_grant_the_same_person_cools_down_and_another_does_not() -> None:
    door = Door()
    door.frames(10, near("Ada", 0.3))
    door.nobody()
    door.frames(10, near("Ada", 0.3))
    door.frames(10, near("Bob", 0.3))
    assert [d.name for d in door.decisions] == ["Ada", "Bob"]
    door.nobody(4)
    door.frames(10, near("Ada", 0.3))
    assert [d.name for d in door.decisions] == ["Ada", "Bob", "Ada"]


@pytest.mark.parametrize("cooldown_s", [0.0, 0.5, 4.0, 600.0])
def test_whoever_was_granted_and_found_the_door_shut_is_granted_again_within_about_a_second(cooldown_s: float) -> None:
    door = Door(roster(POLICY.model_copy(update={"cooldown_s": cooldown_s})))
    door.frames(3, near("Ada", 0.5))
    door.decider.not_opened("id-Ada", door.now)
    failed = door.now
    while door.opened == 1:
        door.frame(near("Ada", 0.5))
        assert door.now - failed < 1.5
    assert door.told() == [GRANTED_ADA, GRANTED_ADA]
    assert door.now - failed >= min(cooldown_s, 1.0)


def test_a_door_that_was_shut_for_one_person_changes_nothing_for_another() -> None:
    door = Door()
    door.frames(3, near("Bob", 0.5))
    door.frames(3, near("Ada", 0.5))
    door.decider.not_opened("id-Ada", door.now)
    door.frames(45, near("Bob", 0.5))
    assert [d.name for d in door.decisions] == ["Bob", "Ada"]


def test_a_cooling_person_who_stays_is_not_refused() -> None:
    door = Door()
    door.frames(45, near("Ada", 0.3))
    assert door.told() == [GRANTED_ADA]


def test_a_distance_that_is_no_number_opens_nothing() -> None:
    door = Door()
    door.frames(50, near("Ada", float("nan")))
    door.nobody()
    door.frames(50, near("Ada", 0.3, float("nan")))
    assert door.opened == 0


frames = st.lists(
    st.tuples(
        st.sampled_from(["Ada", "Bob", "Eve", ""]),
        st.one_of(st.floats(0, 2), st.just(float("nan"))),
        st.one_of(st.floats(0, 2), st.just(float("inf"))),
        st.sampled_from([None, Reason.TOO_DARK, Reason.BLURRED]),
        st.floats(-0.2, 0.8),
        st.floats(0.01, 1.5),
    ),
    max_size=60,
)


@given(frames)
def test_whatever_comes_nothing_opens_without_three_good_frames_of_one_person(
    script: list[tuple[str, float, float, Reason | None, float, float]],
) -> None:
    door = Door()
    good: list[tuple[float, str]] = []
    opened_for: dict[str, float] = {}
    for name, distance, runner_up, quality, age, step in script:
        match = near(name, distance, runner_up) if name else None
        decision = door.frame(match, quality=quality, face=bool(name), age=age, step=step)
        captured = door.now - age
        clear = runner_up > POLICY.tau or runner_up - distance >= POLICY.margin
        if name in ("Ada", "Bob") and quality is None and 0 <= age <= 0.5 + 1e-9 and distance <= POLICY.tau and clear:
            good.append((captured, name))
        if decision is not None and decision.outcome == "granted":
            votes = [at for at, who in good if who == decision.name and captured - at <= 2.0 + 1e-9]
            assert len(votes) >= POLICY.votes_needed
            assert decision.observed_at == captured
            assert door.now - opened_for.get(decision.name, -1e9) >= POLICY.cooldown_s
            opened_for[decision.name] = door.now
