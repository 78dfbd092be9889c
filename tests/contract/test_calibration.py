"""What the page says of a threshold, read off the default bundle."""

from pathlib import Path

import numpy as np
import pytest

from firmware_config.bundle import read_bundle

BUNDLE = Path(__file__).parents[2] / "device/models/default.latchkey"


def test_a_stricter_threshold_never_has_a_higher_false_match_rate() -> None:
    calibration = read_bundle(BUNDLE.read_bytes(), trusted=None).calibration
    rates = [calibration.fmr_at(float(tau)) for tau in np.linspace(0.0, 2.0, 2001)]
    assert np.all(np.diff(rates) >= -1e-12)
    assert rates[-1] == pytest.approx(1.0)


def test_listed_thresholds_have_the_rates_that_they_are_listed_for() -> None:
    calibration = read_bundle(BUNDLE.read_bytes(), trusted=None).calibration
    for point in calibration.operating_points:
        if not point.extrapolated:
            assert calibration.fmr_at(point.tau) == pytest.approx(point.fmr, rel=0.15)


def test_a_calibration_by_too_few_people_says_so() -> None:
    calibration = read_bundle(BUNDLE.read_bytes(), trusted=None).calibration
    assert calibration.doubt == ""
    few = calibration.model_copy(update={"identities": 8})
    assert few.doubt.startswith("Only 8 people")
