"""Targets, order and statistics of lessons, against counting and linear algebra by hand."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from firmware_config.errors import BadState
from trainer.teaching.lessons import fit_aim, order, together


def test_one_teacher_of_128_numbers_is_repeated_as_it_is() -> None:
    rows = np.random.default_rng(1).normal(size=(20, 128)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert fit_aim(unit)(unit) == pytest.approx(unit, abs=1e-6)


def test_several_teachers_become_128_numbers_at_the_same_distances() -> None:
    random = np.random.default_rng(5)
    # 200 numbers, but all in 120 directions.
    rows = (random.normal(size=(3000, 120)) @ random.normal(size=(120, 200))).astype(np.float32)
    aim = fit_aim(rows)
    free = (rows - aim.mean) @ aim.matrix
    assert np.linalg.norm(free[:50] - free[50:100], axis=1) == pytest.approx(
        np.linalg.norm(rows[:50] - rows[50:100], axis=1), rel=1e-3
    )


def test_looks_at_one_face_are_averaged_teacher_by_teacher() -> None:
    one = np.array([[1.0, 0.0, 0.6, 0.8, 0.0]], np.float32)
    other = np.array([[0.0, 1.0, 0.6, 0.0, 0.8]], np.float32)
    both = together([one, other], [(2, 1.0), (3, 0.5)])
    half = np.sqrt(0.5)
    third = np.array([1.2, 0.8, 0.8]) / np.linalg.norm([1.2, 0.8, 0.8]) * 0.5
    assert both[0] == pytest.approx(np.array([half, half, *third]), abs=1e-6)


def test_whitened_directions_all_weigh_the_same() -> None:
    random = np.random.default_rng(2)
    # 200 numbers, of which only 140 directions vary, very unequally.
    rows = (random.normal(size=(3000, 140)) * np.linspace(1.0, 9.0, 140)) @ random.normal(size=(140, 200))
    aim = fit_aim(rows.astype(np.float32), whiten=1.0)
    free = (rows - aim.mean) @ aim.matrix
    assert np.cov(free.T) == pytest.approx(np.eye(128), abs=0.02)
    assert np.linalg.norm(aim(rows.astype(np.float32)), axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("shape", [(500, 64), (100, 256)])
def test_too_little_to_aim_at_is_said(shape: tuple[int, int]) -> None:
    with pytest.raises(BadState, match="give no 128"):
        fit_aim(np.random.default_rng(3).normal(size=shape).astype(np.float32))


def test_an_epoch_has_every_crop_of_a_worker_once_in_every_turn() -> None:
    epoch = list(islice(order(24, (0, 0, 1), batch=4, worker=1, workers=2, seed=3), 9))
    seen = sorted((look, int(row)) for look, rows in epoch for row in rows)
    assert seen == sorted((look, row) for look in (0, 0, 1) for row in range(1, 24, 2))
    again = list(islice(order(24, (0, 0, 1), batch=4, worker=1, workers=2, seed=3), 9))
    assert all(a == c and np.array_equal(b, d) for (a, b), (c, d) in zip(epoch, again, strict=True))
