"""Identification: enrolled people are found, strangers are let through as often as was chosen and no oftener."""

from __future__ import annotations

import numpy as np
import pytest

from firmware_config.errors import BadInput
from trainer.measuring.open_set import identify


def _people(people: int, photos: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, 1, 32))
    rows = (centres + random.normal(scale=spread, size=(people, photos, 32))).reshape(-1, 32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.repeat(np.arange(people), photos)


def test_clear_people_are_always_found() -> None:
    embeddings, identities = _people(60, 3, 0.05)
    found = identify(embeddings, identities, gallery=10, draws=5)
    assert (found.mated, found.non_mated) == (20, 50)
    assert [miss.fnir for miss in found.misses] == [0.0, 0.0, 0.0]


def test_an_encoder_that_knows_nothing_misses_nearly_everyone() -> None:
    random = np.random.default_rng(1)
    rows = random.normal(size=(180, 32))
    embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    found = identify(embeddings, np.repeat(np.arange(60), 3), gallery=20, draws=10)
    assert found.misses[0].fnir > 0.9


def test_thresholds_let_through_no_more_strangers_than_chosen() -> None:
    embeddings, identities = _people(80, 2, 0.8)
    found = identify(embeddings, identities, gallery=20, draws=10)
    rates = [miss.fnir for miss in found.misses]
    assert rates == sorted(rates)
    assert [miss.strangers for miss in found.misses] == [60, 6, 0]
    assert [miss.tau for miss in found.misses] == sorted((miss.tau for miss in found.misses), reverse=True)


def test_a_larger_gallery_misses_more() -> None:
    embeddings, identities = _people(200, 2, 0.8)
    small, large = (identify(embeddings, identities, size, draws=10).misses[1].fnir for size in (10, 100))
    assert large > small


def test_too_few_people_are_refused_with_their_number() -> None:
    embeddings, identities = _people(8, 2, 0.1)
    with pytest.raises(BadInput, match=r"gallery of 10 .* there are 8"):
        identify(embeddings, identities, gallery=10)
