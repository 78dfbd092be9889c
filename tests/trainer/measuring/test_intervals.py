"""Intervals are of people, and are as wide as people differ."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.measuring import intervals
from trainer.measuring.metrics import equal_error_rate, true_accept_rate

RATES = (1e-1, 1e-2)


def _pairs(people: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Twenty genuine pairs a person, all alike within a person; impostors between all people."""
    random = np.random.default_rng(seed)
    own = random.normal(1.1, 0.25, people)
    genuine = np.repeat(own, 20)
    whose = np.repeat(np.arange(people), 20)
    first, second = np.triu_indices(people, k=1)
    impostor = random.normal(1.35, 0.1, len(first))
    distances = np.concatenate([genuine, impostor]).astype(np.float32)
    same = np.arange(len(distances)) < len(genuine)
    rows = np.concatenate([np.stack([whose, whose], axis=1), np.stack([first, second], axis=1)])
    return distances, same, rows.astype(np.int64)


def test_whole_weights_give_the_plain_rates() -> None:
    distances, same, _ = _pairs(40)
    order = np.argsort(distances, kind="stable")
    eer, *tars = intervals.weighted_rates(np.ones(len(distances)), same[order], RATES)
    assert eer == pytest.approx(equal_error_rate(distances[same], distances[~same]), abs=0.02)
    for rate, tar in zip(RATES, tars, strict=True):
        assert tar == pytest.approx(true_accept_rate(distances[same], distances[~same], rate), abs=1e-9)


def test_the_interval_holds_the_estimate_and_shrinks_with_people() -> None:
    widths = []
    for people in (15, 120):
        distances, same, rows = _pairs(people)
        eer, tars = intervals.by_identity(distances, same, rows, RATES, resamples=200)
        for (low, high), rate in zip(tars, RATES, strict=True):
            assert low <= true_accept_rate(distances[same], distances[~same], rate) <= high
        assert eer[0] <= equal_error_rate(distances[same], distances[~same]) + 0.02
        widths.append(tars[1][1] - tars[1][0])
    assert widths[1] < widths[0] / 2


def test_pairs_of_one_person_count_as_one_witness() -> None:
    # Twenty equal pairs a person: an interval over pairs would be over four times too narrow.
    distances, same, rows = _pairs(30)
    _, tars = intervals.by_identity(distances, same, rows, (1e-2,), resamples=300)
    tar = true_accept_rate(distances[same], distances[~same], 1e-2)
    over_pairs = 2 * 1.96 * np.sqrt(tar * (1 - tar) / same.sum())
    assert tars[0][1] - tars[0][0] > 2 * over_pairs


def test_the_same_seed_gives_the_same_interval() -> None:
    distances, same, rows = _pairs(20)
    first, second = (intervals.by_identity(distances, same, rows, RATES, seed=3, resamples=50) for _ in range(2))
    assert first == second
