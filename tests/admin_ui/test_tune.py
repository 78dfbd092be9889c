"""The threshold's arithmetic, against a calibration that is known by heart."""

import math
import re

import pytest

from admin_ui import tune
from firmware_config.errors import BadInput
from tests.admin_ui.toys import toy_calibration

CALIBRATION = toy_calibration()


def test_new_door_starts_at_one_false_match_in_ten_thousand() -> None:
    policy = tune.policy_at(CALIBRATION)
    assert CALIBRATION.fmr_at(policy.tau) <= 1e-4
    assert CALIBRATION.fmr_at(policy.tau + 0.002) > 1e-4
    assert policy.tau_strict < policy.tau
    assert CALIBRATION.fmr_at(policy.tau_strict) == pytest.approx(1e-6, rel=0.1)


@pytest.mark.parametrize("fmr", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
def test_tau_for_is_the_inverse_of_the_measured_rate(fmr: float) -> None:
    tau = tune.tau_for(CALIBRATION, fmr)
    assert CALIBRATION.fmr_at(tau) <= fmr * 1.0001
    assert CALIBRATION.fmr_at(tau + 0.002) > fmr * 0.9999


def test_a_rate_below_all_that_was_measured_stops_at_the_lowest_threshold() -> None:
    assert tune.tau_for(CALIBRATION, 1e-12) == 0.15


def test_strict_stop_never_lies_above_tau() -> None:
    policy = tune.with_tau(tune.policy_at(CALIBRATION), CALIBRATION, 0.1)
    assert policy.tau_strict == policy.tau == 0.1


@pytest.mark.parametrize("tau", [0.0, -1.0, 2.5, math.nan])
def test_a_threshold_that_is_no_distance_is_refused(tau: float) -> None:
    with pytest.raises(BadInput, match=r"distance from 0\.05 to 2"):
        tune.with_tau(tune.policy_at(CALIBRATION), CALIBRATION, tau)


def test_new_encoder_keeps_the_rate_and_not_the_distance() -> None:
    shifted = toy_calibration(0.2)
    before = tune.policy_at(CALIBRATION)
    after = tune.same_fmr(before, CALIBRATION, shifted)
    assert after.tau == pytest.approx(before.tau + 0.2, abs=0.003)
    assert after.model_dump(exclude={"tau", "tau_strict"}) == before.model_dump(exclude={"tau", "tau_strict"})


def test_duplicate_alarm_grows_stricter_with_the_crowd() -> None:
    few, many = tune.duplicate_tau(CALIBRATION, 10), tune.duplicate_tau(CALIBRATION, 10_000)
    assert many < few
    assert CALIBRATION.fmr_at(many) * 10_000 <= 0.0101


def test_slider_reaches_every_measured_threshold_and_the_present_one() -> None:
    low, high = tune.slider_range(CALIBRATION, 0.8)
    assert low <= 0.15
    assert high >= 0.8
    assert tune.slider_range(CALIBRATION, 0.3)[1] >= 0.62


def test_curves_cross_once_and_never_turn_back() -> None:
    view = tune.threshold_view("front", tune.policy_at(CALIBRATION), CALIBRATION, [(0.2, "granted")])
    assert view.low <= view.tau <= view.high
    assert list(view.fnmr) == sorted(view.fnmr, reverse=True)
    assert view.fmr[0] < view.fnmr[0]
    assert view.recent == ((0.2, "granted"),)


def test_sentence_speaks_of_whole_pictures_and_the_crowd_at_the_door() -> None:
    sentence = tune.explain(CALIBRATION, 0.25, people=20)
    assert "about once in 10,000" in sentence
    assert "With 20 people at this door, for any of them about once in 5" in sentence
    assert "Of 100 pictures of the right person" in sentence


def test_sentence_says_where_the_threshold_belongs_for_so_many_people() -> None:
    sentence = tune.explain(CALIBRATION, 0.25, people=20)
    advised = float(re.findall(r"At ([\d.]+) it would be about once in 10,000", sentence)[0])
    assert 1 - (1 - CALIBRATION.fmr_at(advised)) ** 20 <= 1.001e-4
    assert "it would be" not in tune.explain(CALIBRATION, advised, people=20)
    assert "it would be" not in tune.explain(CALIBRATION, 0.25, people=1)
    assert "Nothing was measured that is strict enough" in tune.explain(CALIBRATION, 0.25, people=10_000)


def test_a_threshold_that_follows_keeps_strangers_out_of_any_gallery_and_all_else_as_it_is() -> None:
    rule = tune.policy_at(CALIBRATION).model_copy(update={"fpir": 1e-4, "hold_ms": 900})
    taus = []
    for templates in (0, 1, 5, 50):
        followed = tune.for_gallery(rule, CALIBRATION, templates)
        assert 1 - (1 - CALIBRATION.fmr_at(followed.tau)) ** templates <= 1.001e-4
        assert (followed.fpir, followed.hold_ms) == (1e-4, 900)
        taus.append(followed.tau)
    assert taus[0] == taus[1] > taus[2] > taus[3]
    least = min(point.tau for point in CALIBRATION.operating_points)
    assert tune.for_gallery(rule, CALIBRATION, 1_000_000).tau == pytest.approx(least, abs=1e-3), (
        "as far as was measured"
    )
    by_hand = tune.policy_at(CALIBRATION)
    assert tune.for_gallery(by_hand, CALIBRATION, 50) == by_hand


def test_estimated_rates_are_called_estimated() -> None:
    assert "estimated" in tune.explain(CALIBRATION, 0.16, people=1)
    assert "estimated" not in tune.explain(CALIBRATION, 0.6, people=1)
