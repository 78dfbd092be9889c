"""The product of one probe with all codes, in integers. onnxruntime has the kernels for every processor that a door
has; numpy has none for bytes.

The codes are the constant matrix of a graph of one node, so onnxruntime puts them, once, into the order in which its
kernel reads them: a search is then one pass over them. Given as an input they would be put in order at every search,
which took twice as long as the pass.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from device.runtime import open_session
from firmware_config.face import EMBEDDING_SIZE

log = logging.getLogger("latchkey.int8_dot")

CODE_ZERO: Final = 128
PROBE_ZERO: Final = 64
"""What stands for 0. A probe has seven bits: x86 without VNNI adds two products in sixteen bits, and clips."""

UINT8, INT8, INT32 = 2, 3, 6
"""onnx.TensorProto's types."""

CHUNK: Final = 4096
LARGE_PAGES_FROM: Final = 32 * 2**20
"""Bytes of codes. In pages of 4 kB a pass over 128 MB spends a third of its time on finding the pages."""

MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
"""Linux' madvise(2). The second is there from 6.1 on; before, the kernel's own thread gets round to it."""


class CodeProducts:
    """Codes of one gallery."""

    def __init__(self, codes: npt.NDArray[np.uint8]) -> None:
        """codes: uint8[M, 128], CODE_ZERO +- 127; they may be forgotten after. M at least 1."""
        columns = np.empty((EMBEDDING_SIZE, len(codes)), dtype=np.int8)
        for first in range(0, len(codes), CHUNK):
            part = codes[first : first + CHUNK] ^ np.uint8(CODE_ZERO)  # less 128, in eight bits
            columns[:, first : first + CHUNK] = part.view(np.int8).T
        self._dot = open_session(graph(len(codes)), 1, "The search of codes", constants={"codes": columns})
        if columns.nbytes >= LARGE_PAGES_FROM:
            ask_for_large_pages()

    def with_probe(self, probe: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
        """probe: int8[128], -63 to 63 -> int32[M]."""
        row = (probe + PROBE_ZERO).astype(np.uint8).reshape(1, EMBEDDING_SIZE)
        products: npt.NDArray[np.int32] = self._dot.run(None, {"probe": row})[0][0]
        return products


def graph(count: int) -> bytes:
    """An ONNX model of one node: uint8[1, 128] less PROBE_ZERO, times int8[128, count] -> int32[1, count].

    The matrix is kept elsewhere and handed to the session. Written here, for the door has no onnx package.
    """
    node = _field(1, b"probe") + _field(1, b"codes") + _field(1, b"zero") + _field(2, b"products")
    node += _field(4, b"MatMulInteger")
    size = EMBEDDING_SIZE * count
    where = {b"location": b"codes", b"offset": b"0", b"length": b"%d" % size}
    codes = _number(1, EMBEDDING_SIZE) + _number(1, count) + _number(2, INT8) + _field(8, b"codes")
    codes += b"".join(_field(13, _field(1, key) + _field(2, value)) for key, value in where.items()) + _number(14, 1)
    zero = _number(2, UINT8) + _field(8, b"zero") + _field(9, bytes([PROBE_ZERO]))
    body = _field(1, node) + _field(2, b"int8-dot") + _field(5, codes) + _field(5, zero)
    body += _field(11, _value(b"probe", UINT8, EMBEDDING_SIZE)) + _field(12, _value(b"products", INT32, count))
    return _number(1, 8) + _field(7, body) + _field(8, _field(1, b"") + _number(2, 10))


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
