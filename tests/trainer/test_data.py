"""Nobody is in two parts of a split, and batches are made as their names say."""

from __future__ import annotations

import os
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_config.errors import BadInput, BadState
from trainer import data
from trainer.loop import sampling


@settings(deadline=None)  # a busy machine is no failure
@given(seed=st.integers(0, 2**31), counts=st.lists(st.integers(1, 5), min_size=8, max_size=30))
def test_nobody_is_in_two_parts_of_a_split(seed: int, counts: list[int]) -> None:
    counts += [2, 2, 2, 2]
    identities = np.repeat(np.arange(len(counts)), counts)
    split = data.split_people(identities, seed, calibration=2, validation=1)
    parts = [set(identities[rows].tolist()) for rows in (split.train, split.calibration, split.validation)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert sorted(np.concatenate([split.train, split.calibration, split.validation])) == list(range(len(identities)))
    again = data.split_people(identities, seed, calibration=2, validation=1)
    assert np.array_equal(split.calibration, again.calibration)


def test_split_that_shares_somebody_raises() -> None:
    identities = np.array([0, 0, 1, 1, 2, 2])
    whole = data.Split(np.array([0, 1]), np.array([2, 3]), np.array([4, 5]))
    assert whole.checked(identities) is whole
    with pytest.raises(BadState, match="1 people are in both train and validation"):
        data.Split(np.array([0, 4]), np.array([2, 3]), np.array([5])).checked(identities)


def test_another_seed_gives_another_split() -> None:
    identities = np.repeat(np.arange(200), 3)
    first, second = (data.split_people(identities, seed, 50, 20) for seed in (1, 2))
    assert not np.array_equal(first.calibration, second.calibration)


def test_a_split_that_leaves_nobody_to_train_on_is_refused() -> None:
    with pytest.raises(BadInput, match="leave none of 3"):
        data.split_people(np.array([0, 0, 1, 1, 2, 2]), 0, calibration=2, validation=1)


def test_people_times_images() -> None:
    identities = np.array([0] * 6 + [1] * 2 + [2] * 4 + [3, 4, 5])
    for rows in sampling.people_times_images(identities, 3, 4, 2, batches=5, seed=1, epoch=0):
        counts = np.bincount(identities[rows], minlength=6)
        assert counts[:3].tolist() == [4, 4, 4]
        assert sorted(counts[3:].tolist()) == [0, 2, 2]


def test_half_of_the_pairs_are_the_same_person_in_two_images() -> None:
    identities = np.repeat(np.arange(7), 4)
    for rows in sampling.pairs(identities, 16, batches=4, seed=2, epoch=3):
        first, second = rows[:16], rows[16:]
        assert int((identities[first] == identities[second]).sum()) == 8
        assert not np.any(first == second)


def test_an_epoch_of_shuffled_rows_has_each_once() -> None:
    rows = np.concatenate(list(sampling.shuffled(np.arange(64), 16, seed=0, epoch=1)))
    assert sorted(rows.tolist()) == list(range(64))
    other = np.concatenate(list(sampling.shuffled(np.arange(64), 16, seed=0, epoch=2)))
    assert not np.array_equal(rows, other)


@pytest.mark.parametrize(
    "ask",
    [
        lambda few: sampling.shuffled(few, 16, 0, 0),
        lambda few: sampling.people_times_images(few, 3, 2, 0, 1, 0, 0),
        lambda few: sampling.pairs(few, 4, 1, 0, 0),
    ],
)
def test_too_few_people_for_a_batch_is_a_sentence(ask: object) -> None:
    with pytest.raises(BadInput):
        next(ask(np.array([0])))  # type: ignore[operator]


def test_a_fingerprint_counts_names_as_their_bytes() -> None:
    def of(*names: bytes) -> str:
        keys = tuple(os.fsdecode(name) for name in names)
        return data.Faces(np.zeros((len(keys), 1, 1, 1), np.uint8), np.arange(len(keys)), keys).fingerprint()

    assert of(b"Jos\xe9/1.webp", "José/1.webp".encode()) == sha256(b"Jos\xe9/1.webp\nJos\xc3\xa9/1.webp").hexdigest()
