"""Weights of an encoder are rounded one by one, each so that it makes up for the errors of those before it.

Rounding each weight to the nearest step is best for the weight and not for the answer: neighbours see nearly the same
picture, so the error of one can be taken back by the next. Frantar, Ashkboos, Hoefler, Alistarh 2023 (GPTQ), after
Hassibi and Stork 1993; onnxruntime has it for matrices of language models alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional

from device.runtime import open_session
from firmware_config.face import ImageArray

DAMPING: Final = 0.01
"""Added to the inputs' mean square, as a share of it: what the crops say nothing about stays where it is."""

MOST_ROWS: Final = 50_000
"""Places of a map that are enough to know how its inputs go together: 35 for each of the widest layer's inputs."""

Weights = npt.NDArray[np.float64]


def rounded(model: bytes, crops: ImageArray, input_name: str, steps: int) -> bytes:
    """The model with the dense convolutions' weights on the steps that symmetric rounding by channel would give them.

    model: ONNX, batch norms folded into convolutions. crops: uint8[M, 112, 112, 3], a hundred or more. steps: on either
    side of 0. The largest weight of each channel stays as large as it was, so that the same steps are found again.
    """
    found = onnx.load_from_string(model)
    weights = {each.name: each for each in found.graph.initializer}
    layers = [node for node in found.graph.node if node.op_type == "Conv" and _dense(node)]
    inputs = _inputs(model, sorted({node.input[0] for node in layers}), crops, input_name)
    for node in layers:
        held = weights[node.input[1]]
        kernel = numpy_helper.to_array(held)
        seen = _seen(inputs[node.input[0]], node, kernel.shape[2:])
        flat = round_together(kernel.reshape(len(kernel), -1).astype(np.float64), seen.T @ seen, steps)
        held.CopyFrom(numpy_helper.from_array(flat.reshape(kernel.shape).astype(np.float32), held.name))
    return found.SerializeToString()  # type: ignore[no-any-return]


def round_together(weights: Weights, together: Weights, steps: int) -> Weights:
    """weights: float64[O, K]; together: float64[K, K], how the K inputs go together, sums of products -> float64[O, K].

    Column by column, those with the largest inputs first, whose errors have the most to be taken back by.
    """
    step = np.abs(weights).max(axis=1, keepdims=True) / steps
    step[step == 0.0] = 1.0
    order = np.argsort(-np.diag(together))
    left = weights[:, order].copy()
    damped = together[np.ix_(order, order)] + DAMPING * np.mean(np.diag(together)) * np.eye(len(order))
    inverse = np.linalg.cholesky(np.linalg.inv(damped)).T
    chosen = np.empty_like(left)
    for k in range(left.shape[1]):
        chosen[:, k] = np.clip(np.rint(left[:, k] / step[:, 0]), -steps, steps) * step[:, 0]
        wrong = (left[:, k] - chosen[:, k]) / inverse[k, k]
        left[:, k + 1 :] -= wrong[:, None] * inverse[k, k + 1 :]
    back: Weights = np.empty_like(chosen)
    back[:, order] = chosen
    largest = np.argmax(np.abs(weights), axis=1)
    rows = np.arange(len(weights))
    back[rows, largest] = weights[rows, largest]
    return back


def _dense(node: onnx.NodeProto) -> bool:
    return all(each.i == 1 for each in node.attribute if each.name == "group")


def _inputs(model: bytes, names: list[str], crops: ImageArray, input_name: str) -> dict[str, torch.Tensor]:
    asked = onnx.load_from_string(model)
    own = {each.name for each in asked.graph.output}
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in own)
    session = open_session(asked.SerializeToString(), 2, "The encoder before it is rounded")
    said = session.run(names, {input_name: crops})
    return {name: torch.from_numpy(np.asarray(each)) for name, each in zip(names, said, strict=True)}


def _seen(maps: torch.Tensor, node: onnx.NodeProto, kernel: tuple[int, ...]) -> Weights:
    """What each place's weights are multiplied with: float64[rows, K]."""
    how = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    top, left, bottom, right = how.get("pads", (0, 0, 0, 0))
    padded = functional.pad(maps.float(), (left, right, top, bottom))
    rows = functional.unfold(padded, kernel, stride=tuple(how.get("strides", (1, 1))))
    rows = rows.transpose(1, 2).flatten(0, 1)
    every = max(1, len(rows) // MOST_ROWS)
    found: Weights = rows[::every].double().numpy()
    return found
