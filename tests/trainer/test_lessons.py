"""Targets, order and statistics of lessons, against counting and linear algebra by hand."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from firmware_config.errors import BadState
from trainer.lessons import fit_aim, fit_channels, order


def test_one_teacher_of_128_numbers_is_repeated_as_it_is() -> None:
    rows = np.random.default_rng(1).normal(size=(20, 128)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert fit_aim(unit)(unit) == pytest.approx(unit, abs=1e-6)


def test_several_teachers_become_128_numbers_that_all_weigh_the_same() -> None:
    random = np.random.default_rng(2)
    # 200 numbers, of which only 140 directions vary, very unequally.
    rows = (random.normal(size=(3000, 140)) * np.linspace(1.0, 9.0, 140)) @ random.normal(size=(140, 200))
    aim = fit_aim(rows.astype(np.float32))
    free = (rows - aim.mean) @ aim.matrix
    assert np.cov(free.T) == pytest.approx(np.eye(128), abs=0.02)
    assert np.linalg.norm(aim(rows.astype(np.float32)), axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("shape", [(500, 64), (100, 256)])
def test_too_little_to_aim_at_is_said(shape: tuple[int, int]) -> None:
    with pytest.raises(BadState, match="give no 128"):
        fit_aim(np.random.default_rng(3).normal(size=shape).astype(np.float32))


def test_an_epoch_has_every_crop_of_a_worker_once_in_every_view() -> None:
    epoch = list(islice(order(count=24, views=2, batch=4, worker=1, workers=2, seed=3), 6))
    seen = sorted((view, int(row)) for view, rows in epoch for row in rows)
    assert seen == [(view, row) for view in (0, 1) for row in range(1, 24, 2)]
    again = list(islice(order(count=24, views=2, batch=4, worker=1, workers=2, seed=3), 6))
    assert all(a == c and np.array_equal(b, d) for (a, b), (c, d) in zip(epoch, again, strict=True))


def test_channels_become_even() -> None:
    values = np.random.default_rng(4).normal(3.0, 5.0, size=(50, 4, 7, 7)).astype(np.float32)
    even = fit_channels(values)(values)
    assert even.mean(axis=(0, 2, 3)) == pytest.approx(0.0, abs=1e-4)
    assert even.std(axis=(0, 2, 3)) == pytest.approx(1.0, abs=1e-4)
