"""What the door decides, told as people walking up to it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.decide import Decider, Decision, Observation
from device.guard import GuardState, load_guard, save_guard
from device.match import Match
from firmware_config.face import Reason
from firmware_config.roster import Person, Policy, Roster
from tests.makers import encoder_id, person

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
FRAME_S = 1 / 15
POLICY = Policy(tau=0.9, tau_strict=0.7)
TWO = (person("Ada", 1), person("Bob", 2))


def roster(policy: Policy = POLICY, people: tuple[Person, ...] = TWO) -> Roster:
    return Roster(
        site="office", door="front", generation=1, encoder_id=encoder_id(), policy=policy, people=list(people)
    )


def near(name: str, distance: float, runner_up: float = 1.4) -> Match:
    return Match(f"id-{name}", name, distance, runner_up)


class Door:
    """A decider, a camera's clock and a list of what was decided."""

    def __init__(self, of: Roster | None = None, guard: GuardState | None = None, *, known: bool = True) -> None:
        self.decider = Decider((of or roster()) if known else None, guard)
        self.now = 1000.0
        self.wall = NOON
        self.sequence = 0
        self.decisions: list[Decision] = []

    def frame(
        self,
        match: Match | None = None,
        *,
        quality: Reason | None = None,
        face: bool = True,
        age: float = 0.03,
        step: float = FRAME_S,
    ) -> Decision | None:
        self.now += step
        self.sequence += 1
        seen = Observation(self.now - age, self.sequence, quality, match, face)
        decision = self.decider.step(seen, self.now, self.wall)
        if decision is not None:
            self.decisions.append(decision)
        return decision

    def frames(self, count: int, match: Match | None = None, **more: object) -> None:
        for _ in range(count):
            self.frame(match, **more)  # type: ignore[arg-type]

    def nobody(self, seconds: float = 1.3) -> None:
        self.frames(round(seconds / FRAME_S), face=False)

    def told(self) -> list[tuple[str, Reason, str]]:
        return [(d.outcome, d.reason, d.name) for d in self.decisions]

    @property
    def opened(self) -> int:
        return sum(d.outcome == "granted" for d in self.decisions)


GRANTED_ADA = ("granted", Reason.GRANTED, "Ada")
REFUSED_UNKNOWN = ("denied", Reason.UNKNOWN_FACE, "")


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


def test_a_cooling_person_who_stays_is_not_refused() -> None:
    door = Door()
    door.frames(45, near("Ada", 0.3))
    assert door.told() == [GRANTED_ADA]


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


def test_a_distance_that_is_no_number_opens_nothing() -> None:
    door = Door()
    door.frames(50, near("Ada", float("nan")))
    door.nobody()
    door.frames(50, near("Ada", 0.3, float("nan")))
    assert door.opened == 0


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
    door.frames(10, near("Bob", 0.6))
    assert door.told()[-1] == ("granted", Reason.GRANTED, "Bob")
    door.now += 300
    assert not door.decider.guard_raised(door.now)
    door.frames(10, near("Ada", 0.8))
    assert door.told()[-1] == GRANTED_ADA


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
    save_guard(path, state)
    again = Door(guard=load_guard(path))
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


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"remaining_s": NaN, "misses_ago_s": []}', b"[1]", b"\xff"])
def test_a_damaged_guard_file_counts_as_raised(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "guard.json"
    assert load_guard(path) == GuardState()
    path.write_bytes(damage)
    assert load_guard(path).remaining_s > 0


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
