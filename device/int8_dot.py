"""The product of one probe with all codes, in whole numbers. onnxruntime has the kernels for every processor that a
door has; numpy has none for bytes.

Codes are the constant matrix of a graph of one node, so onnxruntime puts them, once, into the order in which its kernel
reads them: a search is then one pass over them. Given as an input they would be put in order at every search, which
took twice as long as the pass.

There are two such nodes. MatMulNBits was made for language models, which multiply one row with a long matrix: it asks
for memory ahead, and keeps up with it where MatMulInteger, made for many rows, reached half of its speed. It has no
kernel for processors without dot products (a Raspberry Pi 4) and would turn every code into a float there.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from device.runtime import open_session
from firmware_config.errors import BadInput
from firmware_config.face import EMBEDDING_SIZE

log = logging.getLogger("latchkey.int8_dot")

Codes = npt.NDArray[np.uint8]
Probe = npt.NDArray[np.int8]

CODE_ZERO: Final = 128
"""What stands for 0 in a code. MatMulNBits takes it for granted."""

PROBE_ZERO: Final = 64
"""And in MatMulInteger's probe. It has seven bits: x86 without VNNI adds two products in sixteen bits, and clips."""

FLOAT, UINT8, INT8, INT32 = 1, 2, 3, 6
"""onnx.TensorProto's types."""

CHUNK: Final = 4096
LARGE_PAGES_FROM: Final = 32 * 2**20
"""Bytes of codes. In pages of 4 kB a pass over 128 MB spends a third of its time on finding the pages."""

TRIAL: Final = 4096
"""Codes that the two are tried on: half a megabyte, for each a hundredth of a millisecond to one or two."""

ROUNDS: Final = 9

PAYS_BELOW: Final = 2.0
"""MatMulNBits' time on the trial's codes over MatMulInteger's. On so few, which lie in the cache, it is 1 with dot
products on x86 and 1.3 on a Cortex-A76; where it has no kernel it is 6 and more."""

MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
"""Linux' madvise(2). The second is there from 6.1 on; before, the kernel's own thread gets round to it."""


class CodeProducts(Protocol):
    """Codes of one gallery."""

    half: int
    """A probe goes from minus this to this, and one of its numbers, or its negative, is this."""

    def with_probe(self, probe: Probe) -> npt.NDArray[Any]:
        """probe: int8[128] -> whole numbers [M], int32 or float32."""


class IntegerProducts:
    """By MatMulInteger (ONNX)."""

    half = PROBE_ZERO - 1

    def __init__(self, codes: Codes) -> None:
        """codes: uint8[M, 128], CODE_ZERO +- 127; they may be forgotten after. M at least 1."""
        columns = np.empty((EMBEDDING_SIZE, len(codes)), dtype=np.int8)
        for first in range(0, len(codes), CHUNK):
            part = codes[first : first + CHUNK] ^ np.uint8(CODE_ZERO)  # less 128, in eight bits
            columns[:, first : first + CHUNK] = part.view(np.int8).T
        self._dot = open_session(integer_graph(len(codes)), 1, "The search of codes", constants={"codes": columns})

    def with_probe(self, probe: Probe) -> npt.NDArray[np.int32]:
        row = (probe + PROBE_ZERO).astype(np.uint8).reshape(1, EMBEDDING_SIZE)
        products: npt.NDArray[np.int32] = self._dot.run(None, {"probe": row})[0][0]
        return products


class BlockProducts:
    """By MatMulNBits (com.microsoft), a block for each code and a scale of 1: its sums are whole, and below 2^24."""

    half = 127
    """The node brings what it multiplies to this itself; with such a number in it, by a factor of 1."""

    def __init__(self, codes: Codes) -> None:
        """As for IntegerProducts. Raises BadInput where onnxruntime has no such node."""
        blocks = np.ascontiguousarray(codes).reshape(len(codes), 1, EMBEDDING_SIZE)
        scales = np.ones(len(codes), dtype=np.float32)
        self._dot = open_session(
            block_graph(len(codes)), 1, "The search of codes", constants={"codes": blocks, "scales": scales}
        )

    def with_probe(self, probe: Probe) -> npt.NDArray[np.float32]:
        row = probe.astype(np.float32).reshape(1, EMBEDDING_SIZE)
        products: npt.NDArray[np.float32] = self._dot.run(None, {"probe": row})[0][0]
        return products


def code_products(codes: Codes) -> CodeProducts:
    """codes: uint8[M, 128], CODE_ZERO +- 127; they may be forgotten after. M at least 1."""
    products = BlockProducts(codes) if blocks_pay() else IntegerProducts(codes)
    if codes.nbytes >= LARGE_PAGES_FROM:
        ask_for_large_pages()
    return products


@cache
def blocks_pay() -> bool:
    """Whether MatMulNBits is exact on this processor, and has a kernel for it. Tried once, in some milliseconds."""
    codes = np.random.default_rng(0).integers(1, 256, (TRIAL, EMBEDDING_SIZE), dtype=np.uint8)
    codes[:2] = [[1], [255]]
    probes = [np.full(EMBEDDING_SIZE, 127, np.int8), np.resize(np.array([127, -127], np.int8), EMBEDDING_SIZE)]
    try:
        blocks = BlockProducts(codes)
    except BadInput:
        return False
    whole = codes.astype(np.int32) - CODE_ZERO
    exact = all(np.array_equal(blocks.with_probe(probe), whole @ probe.astype(np.int32)) for probe in probes)
    integers, probe = IntegerProducts(codes), np.resize(np.array([63, -63], np.int8), EMBEDDING_SIZE)
    ratio = _took(lambda: blocks.with_probe(probes[1])) / _took(lambda: integers.with_probe(probe))
    log.info("Codes are searched by blocks: exact %s, %.1f of the time of MatMulInteger.", exact, ratio)
    return exact and ratio < PAYS_BELOW


def _took(run: Callable[[], object]) -> float:
    """Median seconds."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def integer_graph(count: int) -> bytes:
    """An ONNX model of one node: uint8[1, 128] less PROBE_ZERO, times int8[128, count] -> int32[1, count].

    The matrix is kept elsewhere and handed to the session. Written here, for the door has no onnx package.
    """
    node = _field(1, b"probe") + _field(1, b"codes") + _field(1, b"zero") + _field(2, b"products")
    node += _field(4, b"MatMulInteger")
    zero = _number(2, UINT8) + _field(8, b"zero") + _field(9, bytes([PROBE_ZERO]))
    constants = [_elsewhere(b"codes", INT8, [EMBEDDING_SIZE, count], 1), zero]
    return _model(node, constants, (UINT8, INT32), count, [_operators(b"", 10)])


def block_graph(count: int) -> bytes:
    """Likewise: float32[1, 128], times uint8[count, 128] less CODE_ZERO -> float32[1, count]."""
    sizes = {b"K": EMBEDDING_SIZE, b"N": count, b"accuracy_level": 4, b"bits": 8, b"block_size": EMBEDDING_SIZE}
    node = _field(1, b"probe") + _field(1, b"codes") + _field(1, b"scales") + _field(2, b"products")
    node += _field(4, b"MatMulNBits")
    node += b"".join(_field(5, _field(1, key) + _number(3, size) + _number(20, 2)) for key, size in sizes.items())
    node += _field(7, b"com.microsoft")
    codes = _elsewhere(b"codes", UINT8, [count, 1, EMBEDDING_SIZE], 1)
    constants = [codes, _elsewhere(b"scales", FLOAT, [count], 4)]
    sets = [_operators(b"", 10), _operators(b"com.microsoft", 1)]
    return _model(node, constants, (FLOAT, FLOAT), count, sets)


def _model(node: bytes, constants: list[bytes], kinds: tuple[int, int], count: int, sets: list[bytes]) -> bytes:
    """kinds: of the probe's numbers and the products'. sets: of operators."""
    body = _field(1, node) + _field(2, b"int8-dot") + b"".join(_field(5, constant) for constant in constants)
    body += _field(11, _value(b"probe", kinds[0], EMBEDDING_SIZE)) + _field(12, _value(b"products", kinds[1], count))
    return _number(1, 8) + _field(7, body) + b"".join(_field(8, each) for each in sets)


def _operators(domain: bytes, version: int) -> bytes:
    return _field(1, domain) + _number(2, version)


def _elsewhere(name: bytes, kind: int, sides: list[int], width: int) -> bytes:
    """A tensor that is kept outside of the model. width: bytes of each of its numbers."""
    size = width * int(np.prod(sides))
    where = {b"location": name, b"offset": b"0", b"length": b"%d" % size}
    tensor = b"".join(_number(1, side) for side in sides) + _number(2, kind) + _field(8, name)
    return (
        tensor
        + b"".join(_field(13, _field(1, key) + _field(2, value)) for key, value in where.items())
        + _number(14, 1)
    )


def _value(name: bytes, kind: int, columns: int) -> bytes:
    shape = b"".join(_field(1, _number(1, side)) for side in (1, columns))
    return _field(1, name) + _field(2, _field(1, _number(1, kind) + _field(2, shape)))


def _field(number: int, content: bytes) -> bytes:
    """Protocol buffers: a field with bytes in it."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def ask_for_large_pages() -> None:
    """For whatever this process holds in one large piece. Advice alone: where it cannot be had, all goes on."""
    with contextlib.suppress(OSError, AttributeError):
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for begin, size in _large_pieces():
            for advice in (MADV_HUGEPAGE, MADV_COLLAPSE):
                advise(begin, size, advice)


def _large_pieces() -> Iterator[tuple[int, int]]:
    """Anonymous memory of at least LARGE_PAGES_FROM: where it begins, bytes."""
    for line in Path("/proc/self/maps").read_text(encoding="ascii", errors="replace").splitlines():
        span, rights, _offset, _device, inode, *name = line.split(maxsplit=5)
        begin, end = (int(place, 16) for place in span.split("-"))
        if rights == "rw-p" and inode == "0" and not name and end - begin >= LARGE_PAGES_FROM:
            yield begin, end - begin
