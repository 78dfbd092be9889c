"""An int8 network whose first layer reads pixels as they are, which are bytes already.

Exported as it is trained, a network turns each pixel into a float between -1 and 1 and back into a byte, and that byte
is another one: 127.5 lies between two, so rounding makes one of every two neighbours. Around 128 each pixel is its own
byte; what half a grey level means to the first layer is a constant, which goes into its bias. Exact but for the
padding, which is then half a grey level brighter.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

from trainer.encoders import PIXEL_MEAN, PIXEL_SCALE

MIDDLE: Final = 128
"""The byte that stands for 0."""

ARITHMETIC: Final = ("Cast", "Sub", "Div", "QuantizeLinear")
"""What is left out of the way of a pixel."""


def centred(model: bytes) -> bytes:
    """A float network over PIXEL_MEAN -> the same over MIDDLE. One that begins otherwise than with a convolution of
    normalised pixels is given back as it is."""
    network = onnx.load_from_string(model)
    graph = network.graph
    constants = {each.name: each for each in graph.initializer}
    for sub in graph.node:
        if sub.op_type != "Sub" or _scalar(constants.get(sub.input[1])) != PIXEL_MEAN:
            continue
        (div,) = _users(graph, sub.output[0])
        first = _users(graph, div.output[0])
        if _scalar(constants.get(div.input[1])) != PIXEL_SCALE or any(node.op_type != "Conv" for node in first):
            return model
        name = f"{sub.input[1]}_middle"
        graph.initializer.append(numpy_helper.from_array(np.float32(MIDDLE), name))
        sub.input[1] = name
        for node in first:
            _brighter(graph, node, constants, (MIDDLE - PIXEL_MEAN) / PIXEL_SCALE)
        return bytes(network.SerializeToString())
    return model


def straight(model: bytes) -> bytes:
    """A centred network in int8, QDQ -> the same numbers without the way there and back. Where a pixel would not become
    its own byte, as in a network that is not centred, it is given back as it is."""
    network = onnx.load_from_string(model)
    graph = network.graph
    constants = {each.name: each for each in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    for quantise in graph.node:
        if quantise.op_type != "QuantizeLinear" or not _is_identity(quantise, constants):
            continue
        way = _way_from_bytes(quantise, made_by)
        if way is None:
            continue
        kept = [node for node in way if node.op_type not in ARITHMETIC]
        below = way[0].input[0]
        for node in kept:
            node.input[0], below = below, node.output[0]
        for user in _users(graph, quantise.output[0]):
            user.input[0] = below
        nodes = [node for node in graph.node if node not in way or node in kept]
        del graph.node[:]
        graph.node.extend(nodes)
        del graph.value_info[:]  # written for floats
        used = {name for node in nodes for name in node.input}
        left = [constant for constant in graph.initializer if constant.name in used]
        del graph.initializer[:]
        graph.initializer.extend(left)
        return bytes(network.SerializeToString())
    return model


def with_extremes(crops: Any) -> Any:
    """The same crops with a black and a white pixel among them, so that the range of pixels is that of bytes."""
    crops = crops.copy()
    crops[0, 0, 0], crops[0, 0, 1] = 0, 255
    return crops


def _is_identity(quantise: Any, constants: dict[str, Any]) -> bool:
    scale, middle = (_scalar(constants.get(name)) for name in quantise.input[1:3])
    return middle == MIDDLE and scale is not None and np.float32(scale) == np.float32(1 / PIXEL_SCALE)


def _way_from_bytes(quantise: Any, made_by: dict[str, Any]) -> list[Any] | None:
    """Nodes from the cast of bytes to here, in their order; None: there is no such way."""
    way = [quantise]
    while way[0].op_type != "Cast":
        before = made_by.get(way[0].input[0])
        if before is None or before.op_type not in (*ARITHMETIC, "Transpose"):
            return None
        way.insert(0, before)
    return way


def _brighter(graph: Any, conv: Any, constants: dict[str, Any], by: float) -> None:
    """The bias of a convolution for an input that is `by` lower than it was."""
    weights = numpy_helper.to_array(constants[conv.input[1]])
    added = (weights.astype(np.float64).sum(axis=(1, 2, 3)) * by).astype(np.float32)
    name = f"{conv.input[1]}_middle"
    bias = numpy_helper.to_array(constants[conv.input[2]]) if len(conv.input) > 2 else np.zeros_like(added)
    graph.initializer.append(numpy_helper.from_array(bias + added, name))
    del conv.input[2:]
    conv.input.append(name)


def _users(graph: Any, name: str) -> list[Any]:
    return [node for node in graph.node if name in node.input]


def _scalar(constant: Any) -> float | None:
    """The one number in it, otherwise None."""
    if constant is None:
        return None
    array = numpy_helper.to_array(constant)
    return float(array.reshape(-1)[0]) if array.size == 1 else None
