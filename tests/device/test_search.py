"""The first pass over codes rules nobody out who is first or second, and swapping lists disturbs no search."""

from __future__ import annotations

import threading

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from device.match import Gallery
from device.search import HALF, INT8_DOT, ZERO, Coded, Search, encode
from firmware_config.face import FloatArray

ENCODER = "e" * 64


def unit_rows(seed: int, count: int, spread: float = 1.0) -> FloatArray:
    """spread: below 1 the rows crowd around one direction, as an encoder's may."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal(128) * (1 - spread) * 3 + rng.standard_normal((count, 128)) * max(spread, 1e-3)
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def brute(rows: FloatArray, first_row: np.ndarray, probe: FloatArray) -> tuple[int, float, float]:
    best = np.maximum.reduceat(rows @ probe, first_row)
    order = np.argsort(-best, kind="stable")
    return int(order[0]), float(best[order[0]]), float(best[order[1]]) if len(order) > 1 else float("-inf")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 4), st.floats(0.0, 1.0))
def test_with_codes_as_without(seed: int, people: int, each: int, spread: float) -> None:
    counts = np.random.default_rng(seed).integers(1, each + 1, people)
    first_row = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rows = unit_rows(seed, int(counts.sum()), spread)
    search = Search(rows, first_row, encode(rows))
    middle = rows.mean(axis=0)
    for probe in (unit_rows(seed + 1, 1)[0], rows[seed % len(rows)], middle / np.linalg.norm(middle)):
        expected, found = brute(rows, first_row, probe), search.two_nearest(probe)
        assert found[1:] == pytest.approx(expected[1:], abs=1e-6)
        # Of two that are equally near to the last digit either may be first.
        assert found[0] == expected[0] or expected[1] - expected[2] < 1e-6


def test_codes_are_no_further_off_than_they_say() -> None:
    rows = unit_rows(1, 500)
    coded = encode(rows)
    assert coded.codes.min() >= ZERO - HALF
    assert coded.codes.max() <= ZERO + HALF
    back = (coded.codes.astype(np.float64) - ZERO) * coded.scale
    assert np.linalg.norm(rows - back, axis=1).max() == pytest.approx(coded.error)


def test_few_are_left_to_compare_in_full() -> None:
    rows = unit_rows(2, 30_000)
    search = Search(rows, np.arange(len(rows)), encode(rows))
    kept = search._not_ruled_out(rows[77])
    assert kept is not None
    assert 77 in kept
    assert len(kept) < 300


def test_codes_that_tell_nobody_apart_leave_everybody_to_float32() -> None:
    rows = unit_rows(3, 100)
    blurred = Coded(np.full((100, 128), ZERO, np.uint8), 1.0, 1.0)
    search = Search(rows, np.arange(100), blurred)
    assert search.two_nearest(rows[5]) == brute(rows, np.arange(100), rows[5])


def test_the_graph_is_one_product_of_integers() -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["codes", "probe"], ["scores"])],
        "int8-dot",
        [
            helper.make_tensor_value_info("codes", TensorProto.UINT8, ["n", 128]),
            helper.make_tensor_value_info("probe", TensorProto.INT8, [128, 1]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.INT32, ["n", 1])],
    )
    assert onnx.load_from_string(INT8_DOT).graph == graph


@pytest.mark.parametrize("value", [1, -1])
def test_the_largest_sums_do_not_clip(value: int) -> None:
    rows = np.full((9, 128), 1 / np.sqrt(128), np.float32)
    rows[1:] *= np.where(np.arange(128) % 2, 1, -1).astype(np.float32)
    search = Search(rows, np.arange(9), encode(rows))
    probe = rows[0] * np.float32(value)
    scores = search._score(np.full(128, 127 * value, np.int8))
    assert scores[0] == 128 * (ZERO + HALF) * 127 * value
    assert search.two_nearest(probe)[1] == pytest.approx(1.0 if value > 0 else 0.0, abs=1e-5)


def test_lists_are_swapped_while_matching_goes_on() -> None:
    """Each answer is one list's or the other's, whole: who is nearest, and who is next."""
    rows = unit_rows(4, 24_000)
    probe = rows[0]
    old, new = (
        Gallery([f"{name}{n}" for n in range(size)], ["x"] * size, rows[:size], np.arange(size), ENCODER)
        for name, size in (("old", 24_000), ("new", 21_000))
    )
    lawful = {old.nearest(probe), new.nearest(probe)}
    assert len(lawful) == 2
    running = {"gallery": old}
    answers = set()
    stop = threading.Event()

    def match() -> None:
        while not stop.is_set():
            answers.add(running["gallery"].nearest(probe))

    watcher = threading.Thread(target=match)
    watcher.start()
    for turn in range(200):
        running["gallery"] = new if turn % 2 == 0 else old
        stop.wait(0.005)
    stop.set()
    watcher.join()
    assert answers <= lawful
