"""The first pass over codes rules nobody out who is first or second, and swapping lists disturbs no search."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from device import code_dot
from device import search as search_module
from device.code_dot import (
    CODE_HALF,
    ROUNDING,
    BlockProducts,
    Coded,
    IntegerProducts,
    blocks_pay,
    code_products,
    probe_error,
    unpacked,
)
from device.code_graphs import PROBE_ZERO, block_graph, integer_graph
from device.match import Gallery
from device.search import LENGTH, Search, encode
from firmware_config.face import FloatArray

ENCODER = "e" * 64
KERNELS = [IntegerProducts, BlockProducts]
Kernel = type[IntegerProducts] | type[BlockProducts]


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


def decoded(coded: Coded) -> np.ndarray:
    return unpacked(coded.codes).astype(np.float64) * coded.scales[:, np.newaxis].astype(np.float64)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0), st.integers(0, 127))
def test_codes_are_no_further_off_than_they_say(seed: int, spread: float, alone: int) -> None:
    """Of rows in every direction, of some that crowd, and of some that one number dominates."""
    rows = unit_rows(seed, 100, spread)
    rows[:20, alone] += 5
    rows[:20] /= np.linalg.norm(rows[:20], axis=1, keepdims=True)
    coded = encode(rows)
    back = decoded(coded)
    off = np.linalg.norm(rows - back, axis=1)
    assert np.all(off <= coded.errors)
    assert np.all(np.linalg.norm(back, axis=1) <= LENGTH)


def test_codes_are_as_near_as_four_bits_allow() -> None:
    """Of a normal distribution sixteen even steps keep all but 0.0115 of the square (Max 1960)."""
    coded = encode(unit_rows(1, 2000))
    assert np.median(coded.errors) < 0.0115**0.5 * 1.05
    assert np.abs(unpacked(coded.codes)).max() == CODE_HALF


def test_few_are_left_to_compare_in_full() -> None:
    rows = unit_rows(2, 30_000)
    search = Search(rows, np.arange(len(rows)), encode(rows))
    kept = search._not_ruled_out(rows[77])
    assert kept is not None
    assert 77 in kept
    assert len(kept) < 300


def test_one_row_whose_codes_are_far_off_is_looked_at_and_the_others_are_not() -> None:
    rows = unit_rows(8, 30_000)
    coded = encode(rows)
    _, _, second = brute(rows, np.arange(len(rows)), rows[77])
    before = Search(rows, np.arange(len(rows)), coded)._not_ruled_out(rows[77])
    coded.codes[123], coded.errors[123] = 0x88, second
    after = Search(rows, np.arange(len(rows)), coded)._not_ruled_out(rows[77])
    assert before is not None
    assert after is not None
    assert set(after) == set(before) | {123}


def test_codes_that_tell_nobody_apart_leave_everybody_to_float32() -> None:
    rows = unit_rows(3, 100)
    blurred = Coded(np.full((100, 64), 0x88, np.uint8), np.ones(100, np.float32), np.ones(100, np.float32))
    search = Search(rows, np.arange(100), blurred)
    assert search._not_ruled_out(rows[5]) is None
    assert search.two_nearest(rows[5]) == brute(rows, np.arange(100), rows[5])


def outside(name: str, kind: int, sides: list[int], size: int) -> TensorProto:
    """A tensor of so many bytes that is kept outside of the model."""
    tensor = TensorProto(name=name, data_type=kind, dims=sides)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", name), ("offset", "0"), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)
    return tensor


COUNT = 70_000


def test_a_graph_is_one_product_of_integers() -> None:
    zero = helper.make_tensor("zero", TensorProto.UINT8, [], bytes([PROBE_ZERO]), raw=True)
    expected = helper.make_graph(
        [helper.make_node("MatMulInteger", ["probe", "codes", "zero"], ["products"])],
        "code-dot",
        [helper.make_tensor_value_info("probe", TensorProto.UINT8, [1, 128])],
        [helper.make_tensor_value_info("products", TensorProto.INT32, [1, COUNT])],
        [outside("codes", TensorProto.INT8, [128, COUNT], 128 * COUNT), zero],
    )
    written = onnx.load_from_string(integer_graph(COUNT))
    assert written == helper.make_model(expected, opset_imports=[helper.make_opsetid("", 10)], ir_version=8)


def test_the_other_graph_is_one_product_of_blocks() -> None:
    sizes = {"K": 128, "N": COUNT, "accuracy_level": 4, "bits": 4, "block_size": 128}
    inputs = ["probe", "codes", "scales", "", "", "errors"]
    expected = helper.make_graph(
        [helper.make_node("MatMulNBits", inputs, ["products"], domain="com.microsoft", **sizes)],
        "code-dot",
        [helper.make_tensor_value_info("probe", TensorProto.FLOAT, [1, 128])],
        [helper.make_tensor_value_info("products", TensorProto.FLOAT, [1, COUNT])],
        [
            outside("codes", TensorProto.UINT8, [COUNT, 1, 64], 64 * COUNT),
            outside("scales", TensorProto.FLOAT, [COUNT], 4 * COUNT),
            outside("errors", TensorProto.FLOAT, [COUNT], 4 * COUNT),
        ],
    )
    versions = [helper.make_opsetid("", 10), helper.make_opsetid("com.microsoft", 1)]
    written = onnx.load_from_string(block_graph(COUNT))
    assert written == helper.make_model(expected, opset_imports=versions, ir_version=8)


@pytest.mark.parametrize("kernel", KERNELS)
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.floats(0.0, 1.0))
def test_products_are_off_by_no_more_than_is_said(kernel: Kernel, seed: int, count: int, spread: float) -> None:
    coded = encode(unit_rows(seed, count))
    probe = unit_rows(seed + 1, 1, spread)[0]
    off = kernel(coded).with_probe(probe) - (decoded(coded) @ probe + coded.errors)
    assert np.abs(off).max() <= probe_error(probe) + ROUNDING


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("end", [1, -1])
def test_the_largest_sums_do_not_clip(kernel: Kernel, sign: int, end: int) -> None:
    side = np.float32(128**-0.5)
    coded = encode(np.full((9, 128), sign * side, np.float32))
    probe = np.full(128, end * side, np.float32)
    products = kernel(coded).with_probe(probe)
    assert products - coded.errors == pytest.approx(sign * end, abs=probe_error(probe) + float(coded.errors[0]))


def wrong(_self: BlockProducts, _probe: np.ndarray) -> np.ndarray:
    return np.zeros(code_dot.TRIAL, np.float32)


def slow(self: BlockProducts, probe: np.ndarray) -> np.ndarray:
    time.sleep(0.02)
    return right(self, probe)


right = BlockProducts.with_probe


@pytest.mark.parametrize("answers", [wrong, slow])
def test_blocks_that_are_wrong_or_slow_on_this_processor_are_not_used(
    monkeypatch: pytest.MonkeyPatch, answers: Callable[[BlockProducts, np.ndarray], np.ndarray]
) -> None:
    monkeypatch.setattr(BlockProducts, "with_probe", answers)
    blocks_pay.cache_clear()
    try:
        assert isinstance(code_products(encode(unit_rows(5, 3))), IntegerProducts)
    finally:
        blocks_pay.cache_clear()


@pytest.mark.parametrize("kernel", KERNELS)
def test_either_way_the_nearest_are_the_nearest(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> None:
    monkeypatch.setattr(code_dot, "blocks_pay", lambda: kernel is BlockProducts)
    rows = unit_rows(6, 3000)
    search = Search(rows, np.arange(len(rows)), encode(rows))
    for probe in unit_rows(7, 20):
        assert search.two_nearest(probe) == pytest.approx(brute(rows, np.arange(len(rows)), probe), abs=1e-6)


@pytest.mark.parametrize("value", [1, -1])
def test_a_probe_at_the_ends_of_the_codes_finds_its_own(value: int) -> None:
    rows = np.full((9, 128), 1 / np.sqrt(128), np.float32)
    rows[1:] *= np.where(np.arange(128) % 2, 1, -1).astype(np.float32)
    search = Search(rows, np.arange(9), encode(rows))
    probe = rows[0] * np.float32(value)
    assert search.two_nearest(probe)[1] == pytest.approx(1.0 if value > 0 else 0.0, abs=1e-5)


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=40))
def test_the_two_largest_are_found_and_nothing_is_spoilt(values: list[float]) -> None:
    bounds = np.array(values, np.float32)
    found = search_module._two_largest(bounds)
    assert bounds.tolist() == values
    assert found[0] != found[1]
    assert sorted(bounds[found].tolist()) == sorted(values)[-2:]


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
