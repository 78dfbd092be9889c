"""The products of one probe with all codes. onnxruntime has the kernels for every processor that a door has; numpy has
none for less than floats.

Codes are the constant matrix of a graph of one node, so onnxruntime puts them, once, into the order in which its kernel
reads them: a search is then one pass over them. Given as an input they would be put in order at every search, which
took twice as long as the pass.

There are two such nodes. MatMulNBits was made for language models, which multiply one row with a long matrix of four
bits: it asks for memory ahead, and keeps up with it. It has no kernel for processors without dot products (a Raspberry
Pi 4) and would turn every code into a float there; MatMulInteger, made for many rows, reads a byte for each code.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import median
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from device.code_graphs import CODE_ZERO, PROBE_ZERO, block_graph, integer_graph
from device.memory import LARGE_PAGES_FROM, ask_for_large_pages
from device.runtime import open_session
from firmware_config.errors import BadInput
from firmware_config.face import EMBEDDING_SIZE, FloatArray

log = logging.getLogger("latchkey.code_dot")

Bytes = npt.NDArray[np.uint8]

CODE_HALF: Final = 7
"""Codes are CODE_ZERO +- CODE_HALF."""

PROBE_HALF: Final = 127
"""Steps in which a probe is taken, either side of 0. Two of its products with codes fit into the sixteen bits in which
x86 without VNNI adds them."""

CHUNK: Final = 4096
TRIAL: Final = 4096
"""Codes that the two are tried on: a quarter of a megabyte, for each a hundredth of a millisecond to one or two."""

ROUNDS: Final = 9

ROUNDING: Final = 1e-5
"""What float32 does to a cosine, and more."""

PAYS_BELOW: Final = 2.0
"""MatMulNBits' time on the trial's codes over MatMulInteger's. On so few, which lie in the cache, it is near 1 with dot
products; where it has no kernel it is 6 and more."""


@dataclass(frozen=True)
class Coded:
    """Templates in four bits a number, M of them.

    codes: uint8[M, 64], two numbers a byte, the first in its lower half, CODE_ZERO +- CODE_HALF. scales: float32[M], of
    one step, from `bfloat16`. errors: float32[M], the distance from a template to its codes at the most.
    """

    codes: Bytes
    scales: FloatArray
    errors: FloatArray


class CodeProducts(Protocol):
    """Codes of one gallery."""

    def with_probe(self, probe: FloatArray) -> FloatArray:
        """probe: float32[128] -> float32[M], its products with the codes, and each one's error added. For codes of
        length 1 they are off by `probe_error` at the most."""


class IntegerProducts:
    """By MatMulInteger (ONNX), a byte for each number."""

    def __init__(self, coded: Coded) -> None:
        """coded: its codes may be forgotten after. M at least 1."""
        count = len(coded.codes)
        columns = np.empty((EMBEDDING_SIZE, count), dtype=np.int8)
        for first in range(0, count, CHUNK):
            columns[:, first : first + CHUNK] = unpacked(coded.codes[first : first + CHUNK]).T
        self._scales, self._errors = coded.scales, coded.errors
        self._dot = open_session(integer_graph(count), 1, "The search of codes", constants={"codes": columns})

    def with_probe(self, probe: FloatArray) -> FloatArray:
        step = np.float32(_step(probe))
        row = (np.rint(probe / step) + PROBE_ZERO).astype(np.uint8).reshape(1, EMBEDDING_SIZE)
        products: FloatArray = self._dot.run(None, {"probe": row})[0][0].astype(np.float32)
        products *= step
        products *= self._scales
        products += self._errors
        return products


class BlockProducts:
    """By MatMulNBits (com.microsoft), a block for each template. It rounds the probe itself."""

    def __init__(self, coded: Coded) -> None:
        """As for IntegerProducts. Raises BadInput where onnxruntime has no such node."""
        count = len(coded.codes)
        blocks = np.ascontiguousarray(coded.codes).reshape(count, 1, EMBEDDING_SIZE // 2)
        constants: dict[str, npt.NDArray[Any]] = {"codes": blocks, "scales": coded.scales, "errors": coded.errors}
        self._dot = open_session(block_graph(count), 1, "The search of codes", constants=constants)

    def with_probe(self, probe: FloatArray) -> FloatArray:
        products: FloatArray = self._dot.run(None, {"probe": probe.reshape(1, EMBEDDING_SIZE)})[0][0]
        return products


def bfloat16(numbers: FloatArray) -> FloatArray:
    """The nearest numbers that two bytes hold: Arm's kernels (KleidiAI) keep scales so."""
    bits = numbers.astype(np.float32).view(np.uint32)
    rounded: FloatArray = ((bits + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)
    return rounded


def probe_error(probe: FloatArray) -> float:
    """How far a probe is from what either node makes of it, at the most: half a step in each of its numbers, and a
    thousandth more, for numbers half-way between two."""
    return _step(probe) * 0.5005 * sqrt(EMBEDDING_SIZE)


def _step(probe: FloatArray) -> float:
    return max(float(np.abs(probe).max()), 1e-20) / PROBE_HALF


def unpacked(codes: Bytes) -> npt.NDArray[np.int8]:
    """uint8[M, 64] -> int8[M, 128], +- CODE_HALF."""
    halves = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), EMBEDDING_SIZE)
    numbers: npt.NDArray[np.int8] = halves.view(np.int8) - np.int8(CODE_ZERO)
    return numbers


def packed(numbers: npt.NDArray[np.int8]) -> Bytes:
    """And back."""
    halves = (numbers + np.int8(CODE_ZERO)).view(np.uint8)
    codes: Bytes = halves[:, ::2] | halves[:, 1::2] << 4
    return codes


def code_products(coded: Coded) -> CodeProducts:
    """coded: its codes may be forgotten after. M at least 1."""
    products = BlockProducts(coded) if blocks_pay() else IntegerProducts(coded)
    if coded.codes.nbytes >= LARGE_PAGES_FROM:
        ask_for_large_pages()
    return products


@cache
def blocks_pay() -> bool:
    """Whether MatMulNBits is as near as it has to be on this processor, and has a kernel for it. Tried once, in some
    milliseconds."""
    random = np.random.default_rng(0)
    numbers = random.integers(-CODE_HALF, CODE_HALF + 1, (TRIAL, EMBEDDING_SIZE), dtype=np.int8)
    numbers[:2] = [[-CODE_HALF], [CODE_HALF]]
    scales = bfloat16(1 / np.linalg.norm(numbers, axis=1))
    decoded = numbers * scales[:, np.newaxis]
    coded = Coded(packed(numbers), scales, np.full(TRIAL, 0.125, np.float32))
    probes = [np.resize(np.array(ends, np.float32), EMBEDDING_SIZE) / EMBEDDING_SIZE**0.5 for ends in ([1], [1, -1])]
    probes += list(random.standard_normal((6, EMBEDDING_SIZE), dtype=np.float32) / EMBEDDING_SIZE**0.5)
    try:
        blocks = BlockProducts(coded)
    except BadInput:
        return False
    near = all(_near(blocks, decoded, coded, probe) for probe in probes)
    integers = IntegerProducts(coded)
    ratio = _took(lambda: blocks.with_probe(probes[1])) / _took(lambda: integers.with_probe(probes[1]))
    log.info("Codes are searched by blocks: near enough %s, %.1f of the time of MatMulInteger.", near, ratio)
    return near and ratio < PAYS_BELOW


def _near(products: CodeProducts, decoded: FloatArray, coded: Coded, probe: FloatArray) -> bool:
    off = np.abs(products.with_probe(probe) - coded.errors - decoded @ probe)
    # A NaN is not near.
    return bool(off.max() <= probe_error(probe) + ROUNDING)


def _took(run: Callable[[], object]) -> float:
    """Median seconds."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return median(taken)
