"""The first pass over codes rules nobody out who is first or second, and swapping lists disturbs no search."""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from device import int8_dot
from device import search as search_module
from device.int8_dot import (
    LARGE_PAGES_FROM,
    PROBE_ZERO,
    BlockProducts,
    IntegerProducts,
    ask_for_large_pages,
    block_graph,
    blocks_pay,
    code_products,
    integer_graph,
)
from device.match import Gallery
from device.search import HALF, ZERO, Coded, Search, encode
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
        "int8-dot",
        [helper.make_tensor_value_info("probe", TensorProto.UINT8, [1, 128])],
        [helper.make_tensor_value_info("products", TensorProto.INT32, [1, COUNT])],
        [outside("codes", TensorProto.INT8, [128, COUNT], 128 * COUNT), zero],
    )
    written = onnx.load_from_string(integer_graph(COUNT))
    assert written == helper.make_model(expected, opset_imports=[helper.make_opsetid("", 10)], ir_version=8)


def test_the_other_graph_is_one_product_of_blocks() -> None:
    sizes = {"K": 128, "N": COUNT, "accuracy_level": 4, "bits": 8, "block_size": 128}
    expected = helper.make_graph(
        [helper.make_node("MatMulNBits", ["probe", "codes", "scales"], ["products"], domain="com.microsoft", **sizes)],
        "int8-dot",
        [helper.make_tensor_value_info("probe", TensorProto.FLOAT, [1, 128])],
        [helper.make_tensor_value_info("products", TensorProto.FLOAT, [1, COUNT])],
        [
            outside("codes", TensorProto.UINT8, [COUNT, 1, 128], 128 * COUNT),
            outside("scales", TensorProto.FLOAT, [COUNT], 4 * COUNT),
        ],
    )
    versions = [helper.make_opsetid("", 10), helper.make_opsetid("com.microsoft", 1)]
    written = onnx.load_from_string(block_graph(COUNT))
    assert written == helper.make_model(expected, opset_imports=versions, ir_version=8)


@pytest.mark.parametrize("kernel", KERNELS)
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_products_are_those_of_whole_numbers(kernel: Kernel, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(ZERO - HALF, ZERO + HALF + 1, (count, 128)).astype(np.uint8)
    probe = rng.integers(-kernel.half, kernel.half + 1, 128).astype(np.int8)
    probe[rng.integers(128)] = rng.choice([-kernel.half, kernel.half])
    expected = (codes.astype(np.int64) - ZERO) @ probe.astype(np.int64)
    assert np.array_equal(kernel(codes).with_probe(probe), expected)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("end", [1, -1])
def test_the_largest_sums_do_not_clip(kernel: Kernel, sign: int, end: int) -> None:
    codes = np.full((9, 128), ZERO + sign * HALF, np.uint8)
    products = kernel(codes).with_probe(np.full(128, end * kernel.half, np.int8))
    assert products.tolist() == [128 * sign * HALF * end * kernel.half] * 9


def wrong(_self: BlockProducts, _probe: np.ndarray) -> np.ndarray:
    return np.zeros(int8_dot.TRIAL, np.float32)


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
        assert isinstance(code_products(np.full((3, 128), ZERO, np.uint8)), IntegerProducts)
    finally:
        blocks_pay.cache_clear()


@pytest.mark.parametrize("kernel", KERNELS)
def test_either_way_the_nearest_are_the_nearest(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> None:
    monkeypatch.setattr(int8_dot, "blocks_pay", lambda: kernel is BlockProducts)
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


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=40), st.integers(0, 30))
def test_whoever_is_not_far_behind_the_second_is_kept(scores: list[int], width: int) -> None:
    """In blocks of three, so that the second is in the first's block, in another, or in the last, short one."""
    second = sorted(scores)[-2]
    expected = [place for place, score in enumerate(scores) if score >= second - width]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "BLOCK", 3)
        assert search_module._within(np.array(scores, np.int32), width).tolist() == expected


def test_large_pages_are_advice_that_leaves_what_is_there() -> None:
    memory = mmap.mmap(-1, 2 * LARGE_PAGES_FROM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held = np.frombuffer(memory, np.uint8)
    held[::4096] = np.arange(len(held) // 4096) % 251
    middle = held.ctypes.data + len(held) // 2
    assert any(begin <= middle < begin + size for begin, size in int8_dot._large_pieces())
    ask_for_large_pages()
    assert np.array_equal(held[::4096], np.arange(len(held) // 4096) % 251)


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
