"""A thousand strangers walk past, as near to the people enrolled as the encoder's own calibration says they come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from admin_ui.tune import policy_at
from device.outfit import default_bundle, release_keys
from firmware_config.bundle import read_bundle
from firmware_config.calibration import Calibration, Histogram
from firmware_config.roster import Policy
from tests.deciding import Door, near, roster
from tests.makers import person

STRANGERS = 1000
MEMBER_EVERY = 10
ENROLLED = 20
JITTER = 0.02
"""Distance, standard deviation from frame to frame of one face that holds still."""
SEED = 11


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return read_bundle(default_bundle().read_bytes(), release_keys()).calibration


@dataclass
class Street:
    """The same people in the same order each time it is walked, with or without the strangers among them."""

    calibration: Calibration
    policy: Policy
    nearest_allowed: float = 0.0
    enrolled: int = ENROLLED

    def walk(self, *, strangers: bool) -> tuple[list[bool], Door]:
        """-> for each visit of one member: let in; and the door, as it is afterwards."""
        crowd, members = np.random.default_rng(SEED), np.random.default_rng(SEED + 1)
        people = tuple(person(f"P{n}", n + 1) for n in range(self.enrolled))
        door = Door(roster(self.policy, people))
        let_in = []
        for n in range(STRANGERS):
            distances = np.maximum(draw(self.calibration.impostor, crowd.random(self.enrolled)), self.nearest_allowed)
            frames = distances + crowd.normal(0, JITTER, (10, 1))
            if strangers:
                for row in frames:
                    first, second = np.argsort(row)[:2]
                    door.frame(near(f"P{first}", float(row[first]), float(row[second])))
            door.nobody()
            if n % MEMBER_EVERY == 0:
                door.nobody(self.policy.cooldown_s)
                before = door.opened
                base = float(draw(self.calibration.genuine, members.random(1))[0])
                for shift in members.normal(0, JITTER, 10):
                    door.frame(near("P0", max(base + shift, 0.0)))
                door.nobody()
                let_in.append(door.opened > before)
        return let_in, door


def draw(histogram: Histogram, shares: np.ndarray) -> np.ndarray:
    """Distances at these shares of a histogram."""
    cumulative = np.concatenate([[0], np.cumsum(histogram.counts)])
    return np.interp(shares * cumulative[-1], cumulative, histogram.edges())


@pytest.mark.parametrize("fmr", [1e-4, 1e-3])
def test_as_near_as_the_calibration_says_they_keep_no_member_out(calibration: Calibration, fmr: float) -> None:
    street = Street(calibration, policy_at(calibration, fmr))
    alone, _ = street.walk(strangers=False)
    among_strangers, door = street.walk(strangers=True)
    assert any(alone), "somebody is let in at all"
    assert among_strangers == alone
    assert not door.decider.guard_raised(door.now)


def test_clear_strangers_keep_no_member_out_and_open_nothing(calibration: Calibration) -> None:
    policy = policy_at(calibration, 1e-3)
    street = Street(calibration, policy, nearest_allowed=policy.tau + policy.near_miss_band + 4 * JITTER)
    alone, _ = street.walk(strangers=False)
    among_strangers, door = street.walk(strangers=True)
    assert among_strangers == alone
    assert door.opened == sum(alone)


def test_the_walk_can_tell_a_member_who_is_kept_out(calibration: Calibration) -> None:
    """Strangers who all go for the one member do raise the guard: what the tests above would show."""
    policy = policy_at(calibration, 1e-3)
    just_outside = Histogram(
        counts=[int(policy.tau < edge <= policy.tau + 0.06) for edge in calibration.impostor.edges()[:-1]]
    )
    aimed = calibration.model_copy(update={"impostor": just_outside})
    street = Street(aimed, policy, nearest_allowed=policy.tau + JITTER, enrolled=2)
    alone, _ = street.walk(strangers=False)
    among_strangers, _ = street.walk(strangers=True)
    assert sum(among_strangers) < sum(alone)
