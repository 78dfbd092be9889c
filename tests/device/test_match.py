"""The gallery's answer is what a loop over everybody would give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.match import MOST, Gallery
from firmware_config.errors import BadInput, BadState
from firmware_config.face import FloatArray

ENCODER = "e" * 64


def unit_rows(rng: np.random.Generator, count: int) -> FloatArray:
    rows = rng.normal(size=(count, 128))
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def gallery(people: int, rows: FloatArray, owner: list[int]) -> Gallery:
    ids = [f"p{number}" for number in range(people)]
    return Gallery(ids, [name.upper() for name in ids], rows, np.array(owner, dtype=np.intp), ENCODER)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_same_as_a_loop_over_everybody(seed: int, owner: list[int]) -> None:
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng, len(owner))
    probe = unit_rows(rng, 1)[0]
    best: dict[int, float] = {}
    for row, person in zip(rows, owner, strict=True):
        d = float(np.linalg.norm(row.astype(np.float64) - probe))
        best[person] = min(d, best.get(person, math.inf))
    expected = sorted(best.items(), key=lambda item: item[1])

    match = gallery(7, rows, owner).nearest(probe)

    assert match is not None
    assert match.person_id == f"p{expected[0][0]}"
    assert match.name == f"P{expected[0][0]}"
    assert match.distance == pytest.approx(expected[0][1], abs=1e-4)
    second = expected[1][1] if len(expected) > 1 else math.inf
    assert match.runner_up_distance == pytest.approx(second, abs=1e-4)


def test_second_template_of_the_same_person_is_no_runner_up() -> None:
    rows = unit_rows(np.random.default_rng(1), 3)
    rows[1] = rows[0]
    match = gallery(2, rows, [0, 0, 1]).nearest(rows[0])
    assert match is not None
    assert match.distance == pytest.approx(0, abs=1e-3)
    assert match.runner_up_distance > 1


def test_alone_there_is_no_runner_up() -> None:
    rows = unit_rows(np.random.default_rng(1), 1)
    match = gallery(1, rows, [0]).nearest(rows[0])
    assert match is not None
    assert match.runner_up_distance == math.inf


def test_empty_gallery_knows_nobody() -> None:
    empty = gallery(0, np.empty((0, 128), np.float32), [])
    assert len(empty) == 0
    assert empty.nearest(unit_rows(np.random.default_rng(1), 1)[0]) is None


def test_another_encoders_faces_are_refused() -> None:
    known = gallery(1, unit_rows(np.random.default_rng(1), 1), [0])
    known.require_encoder(ENCODER)
    with pytest.raises(BadState, match="never compared"):
        known.require_encoder("f" * 64)


@pytest.mark.parametrize("probe", [np.full(128, np.nan, np.float32), np.zeros(64, np.float32)])
def test_what_is_no_embedding_is_refused(probe: FloatArray) -> None:
    known = gallery(1, unit_rows(np.random.default_rng(1), 1), [0])
    with pytest.raises(BadInput, match="128 finite numbers"):
        known.nearest(probe)


def test_templates_that_do_not_fit_are_refused() -> None:
    rows = unit_rows(np.random.default_rng(1), 2)
    with pytest.raises(BadInput, match="not of length 1"):
        gallery(2, rows * np.float32(1.1), [0, 1])
    with pytest.raises(BadInput, match="whom the gallery does not have"):
        gallery(2, rows, [0, 2])
    with pytest.raises(BadInput, match="float32"):
        gallery(2, rows, [0])
    with pytest.raises(BadInput, match="no id twice"):
        Gallery(["a", "a"], ["A", "B"], rows, np.array([0, 1]), ENCODER)


def test_a_million_and_one_is_refused_with_a_sentence() -> None:
    one_too_many = np.broadcast_to(np.float32(0), (MOST + 1, 128))
    with pytest.raises(BadInput, match="1,000,000 templates at most, not 1,000,001"):
        Gallery(["a"], ["A"], one_too_many, np.zeros(MOST + 1, np.intp), ENCODER)
