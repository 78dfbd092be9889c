"""The graphs that multiply a probe with codes, as ONNX models: written here, for the door has no onnx package.

Their matrices are kept elsewhere and handed to the session.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from firmware_config.face import EMBEDDING_SIZE

CODE_ZERO: Final = 8
"""What stands for 0 in a code of four bits. MatMulNBits takes it for granted."""

PROBE_ZERO: Final = 128
"""What stands for 0 in MatMulInteger's probe."""

FLOAT, UINT8, INT8, INT32 = 1, 2, 3, 6
"""onnx.TensorProto's types."""


def integer_graph(count: int) -> bytes:
    """An ONNX model of one node: uint8[1, 128] less PROBE_ZERO, times int8[128, count] -> int32[1, count]."""
    node = _field(1, b"probe") + _field(1, b"codes") + _field(1, b"zero") + _field(2, b"products")
    node += _field(4, b"MatMulInteger")
    zero = _number(2, UINT8) + _field(8, b"zero") + _field(9, bytes([PROBE_ZERO]))
    constants = [_elsewhere(b"codes", INT8, [EMBEDDING_SIZE, count], 1), zero]
    return _model(node, constants, (UINT8, INT32), count, [_operators(b"", 10)])


def block_graph(count: int) -> bytes:
    """Likewise: float32[1, 128], times codes of four bits, uint8[count, 64], less CODE_ZERO, times each row's scale,
    plus its error -> float32[1, count]."""
    sizes = {b"K": EMBEDDING_SIZE, b"N": count, b"accuracy_level": 4, b"bits": 4, b"block_size": EMBEDDING_SIZE}
    inputs = (b"probe", b"codes", b"scales", b"", b"", b"errors")  # neither zero points nor groups
    node = b"".join(_field(1, name) for name in inputs) + _field(2, b"products")
    node += _field(4, b"MatMulNBits")
    node += b"".join(_field(5, _field(1, key) + _number(3, size) + _number(20, 2)) for key, size in sizes.items())
    node += _field(7, b"com.microsoft")
    codes = _elsewhere(b"codes", UINT8, [count, 1, EMBEDDING_SIZE // 2], 1)
    constants = [codes, *[_elsewhere(name, FLOAT, [count], 4) for name in (b"scales", b"errors")]]
    sets = [_operators(b"", 10), _operators(b"com.microsoft", 1)]
    return _model(node, constants, (FLOAT, FLOAT), count, sets)


def _model(node: bytes, constants: list[bytes], kinds: tuple[int, int], count: int, sets: list[bytes]) -> bytes:
    """kinds: of the probe's numbers and the products'. sets: of operators."""
    body = _field(1, node) + _field(2, b"code-dot") + b"".join(_field(5, constant) for constant in constants)
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
