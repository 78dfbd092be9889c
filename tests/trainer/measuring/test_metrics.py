"""Error rates against counting by hand, and the calibration against populations whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_config.errors import BadInput
from trainer.measuring import calibrate, metrics


def test_every_pair_is_counted_once() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    table = metrics.pair_table(embeddings, np.array([0, 0, 1, 1]))
    assert len(table.genuine) == 2
    assert len(table.impostor) == 4
    assert np.allclose(table.impostor, math.sqrt(2.0))


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.floats(0, 2, width=32), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.9]),
)
def test_tau_lets_in_no_more_than_the_rate(distances: list[float], rate: float) -> None:
    impostor = np.array(distances, dtype=np.float32)
    tau = metrics.tau_at_fmr(impostor, rate)
    if tau > 0.0 or rate == 0.0:
        assert np.mean(impostor <= np.float32(tau)) <= rate + 1e-9 or (tau == 0.0 and impostor.min() == 0.0)
    assert 0.0 <= tau <= 2.0


def test_tau_is_the_largest_that_does() -> None:
    impostor = np.linspace(0.1, 2.0, 20, dtype=np.float32)
    tau = metrics.tau_at_fmr(impostor, 0.1)
    assert int((impostor <= np.float32(tau)).sum()) == 2
    assert tau < impostor[2] <= tau + 1e-6


def test_equal_error_rate_of_known_populations() -> None:
    apart = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    assert metrics.equal_error_rate(apart, apart + 1.0) == pytest.approx(0.0, abs=1e-3)
    random = np.random.default_rng(0)
    genuine = random.normal(0.8, 0.1, 20000).astype(np.float32)
    impostor = random.normal(1.2, 0.1, 20000).astype(np.float32)
    # They cross in the middle, two deviations from each mean.
    assert metrics.equal_error_rate(genuine, impostor) == pytest.approx(0.02275, abs=0.003)
    assert metrics.true_accept_rate(genuine, impostor, 0.02275) == pytest.approx(0.97725, abs=0.005)


def test_the_fitted_tail_finds_a_uniform_end() -> None:
    # Impostors evenly over 1 to 2: one in 1e-6 lies below 1.000001. Counting 20,000 pairs cannot show that.
    distances = np.sort(np.linspace(1.0, 2.0, 20000)).astype(np.float32)
    tau = calibrate.tail_tau(distances, np.ones(20000), 20000.0, 1e-6)
    assert tau == pytest.approx(1.0, abs=2e-3)
    counted = calibrate.tail_tau(distances, np.ones(20000), 20000.0, 1e-2)
    assert counted == pytest.approx(1.01, abs=1e-3)


def test_a_tail_of_one_pair_stays_below_it() -> None:
    distances = np.array([0.7, 0.9, 1.0], dtype=np.float32)
    assert 0.69 < calibrate.tail_tau(distances, np.ones(3), 3.0, 1e-6) < 0.7


def _people(count: int, images: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count, 1, 128))
    rows = (centres + spread * random.normal(size=(count, images, 128))).reshape(-1, 128)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.repeat(np.arange(count), images)


def test_calibration_of_well_separated_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "BOOTSTRAPS", 20)
    embeddings, identities = _people(60, 4, 0.4, seed=1)
    result = calibrate.calibrate(embeddings, identities, "made up")
    assert (result.identities, result.genuine_pairs) == (60, 60 * 6)
    assert result.impostor_pairs == 240 * 239 // 2 - 360
    assert sum(result.impostor.counts) == result.impostor_pairs
    taus = [point.tau for point in result.operating_points]
    assert taus == sorted(taus, reverse=True)
    assert [point.extrapolated for point in result.operating_points] == [False, False, True, True, True]
    for point in result.operating_points:
        assert point.tau_low <= point.tau <= point.tau_high
        assert point.fnmr_low <= point.fnmr <= point.fnmr_high
    hundredth = result.operating_points[0]
    table = metrics.pair_table(embeddings, identities)
    assert np.mean(table.impostor <= hundredth.tau) == pytest.approx(0.01, abs=1e-3)
    assert np.mean(table.genuine > hundredth.tau) == pytest.approx(hundredth.fnmr, abs=1e-6)


def test_too_few_people_to_calibrate_with() -> None:
    embeddings, identities = _people(3, 2, 0.4, seed=1)
    with pytest.raises(BadInput, match="too few to calibrate"):
        calibrate.calibrate(embeddings, identities, "made up")
