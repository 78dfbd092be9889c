"""An ONNX face encoder as a torch module: for a GPU, since onnxruntime's build for one is a package of its own, and for
a door's own graph around it. The teachers' files need a dozen operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from firmware_config.errors import BadInput

Values = Sequence[Any]
"""Of a node's inputs; None for one that is left out."""
Attributes = dict[str, Any]


def _convolution(x: Values, how: Attributes) -> Tensor:
    top, left, bottom, right = how.get("pads", (0, 0, 0, 0))
    if (top, left) != (bottom, right):
        raise BadInput("Only the same padding on opposite sides is known here.")
    return functional.conv2d(
        x[0],
        x[1],
        x[2] if len(x) > 2 else None,
        how.get("strides", 1),
        (top, left),
        how.get("dilations", 1),
        how.get("group", 1),
    )


def _normalisation(x: Values, how: Attributes) -> Tensor:
    image, scale, bias, mean, variance = x
    return functional.batch_norm(image, mean, variance, scale, bias, eps=how.get("epsilon", 1e-5))


def _gemm(x: Values, how: Attributes) -> Tensor:
    left = x[0].T if how.get("transA") else x[0]
    right = x[1].T if how.get("transB") else x[1]
    product: Tensor = how.get("alpha", 1.0) * (left @ right)
    return product + how.get("beta", 1.0) * x[2] if len(x) > 2 else product


def _prelu(x: Values, _: Attributes) -> Tensor:
    return torch.where(x[0] < 0, x[0] * x[1], x[0])


def _clip(x: Values, how: Attributes) -> Tensor:
    low, high = (*x[1:], None, None)[:2] if len(x) > 1 else (how.get("min"), how.get("max"))
    return torch.clamp(x[0], low, high)


OPERATORS: Final[dict[str, Callable[[Values, Attributes], Tensor]]] = {
    "Add": lambda x, _: x[0] + x[1],
    "BatchNormalization": _normalisation,
    "Clip": _clip,
    "Conv": _convolution,
    "Div": lambda x, _: x[0] / x[1],
    "Dropout": lambda x, _: x[0],
    "Flatten": lambda x, how: x[0].flatten(how.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, _: x[0].mean((2, 3), keepdim=True),
    "Identity": lambda x, _: x[0],
    "MatMul": lambda x, _: x[0] @ x[1],
    "Mul": lambda x, _: x[0] * x[1],
    "PRelu": _prelu,
    "Relu": lambda x, _: functional.relu(x[0]),
    "Sigmoid": lambda x, _: torch.sigmoid(x[0]),
    "Sub": lambda x, _: x[0] - x[1],
}


class OnnxNetwork(nn.Module):
    """float32[N, 3, S, S] -> what the file's first output is, whatever batch the file was written for."""

    def __init__(self, model: bytes, what: str) -> None:
        """Raises BadInput for bytes that are no ONNX model, or one with operators that are not known here."""
        super().__init__()
        try:
            graph = onnx.load_from_string(model).graph
        except Exception as error:
            raise BadInput(f"{what} is not an ONNX model ({error}).") from error
        unknown = sorted({node.op_type for node in graph.node} - {*OPERATORS, "Constant"})
        if unknown:
            raise BadInput(
                f'{what} has operators not known here: {", ".join(unknown)}. It can teach with lessons = "kept", but '
                "neither on a GPU nor be adopted."
            )
        self._steps: list[tuple[str, list[str], str, Attributes]] = []
        self._places: dict[str, str] = {}
        for tensor in graph.initializer:
            self._hold(tensor.name, tensor)
        for node in graph.node:
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            if node.op_type == "Constant":
                self._hold(node.output[0], attributes["value"])
                continue
            self._steps.append((node.op_type, list(node.input), node.output[0], attributes))
        self._input = next(each.name for each in graph.input if each.name not in self._places)
        self._output = graph.output[0].name

    def _hold(self, name: str, tensor: onnx.TensorProto) -> None:
        self._places[name] = f"held_{len(self._places)}"
        self.register_buffer(self._places[name], torch.from_numpy(numpy_helper.to_array(tensor).copy()))

    def forward(self, pixels: Tensor) -> Tensor:
        """As the class says."""
        values = {name: getattr(self, place) for name, place in self._places.items()}
        values[self._input] = pixels
        for operator, inputs, output, attributes in self._steps:
            values[output] = OPERATORS[operator]([values[name] if name else None for name in inputs], attributes)
        found: Tensor = values[self._output]
        return found
