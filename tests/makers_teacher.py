"""Makes a small ONNX teacher with fixed random weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trainer.config import TeacherFile


def tiny_teacher(path: Path, rows: int, size: int = 112, batch: int | str = "N", seed: int = 1) -> TeacherFile:
    """Writes the model and says how to use it. rows: numbers of its embedding."""
    random = np.random.default_rng(seed)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        values = random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        return numpy_helper.from_array(values.astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["pixels", "w1"], ["c1"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Relu", ["c1"], ["first"]),
        helper.make_node("Conv", ["first", "w2"], ["c2"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["second"]),
        helper.make_node("GlobalAveragePool", ["second"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["rows"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [batch, rows])],
        [weights("w1", 6, 3, 8, 8), weights("w2", 10, 6, 2, 2), weights("w3", 10, rows)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data = model.SerializeToString()
    path.write_bytes(data)
    return TeacherFile(
        name=path.stem,
        onnx=str(path),
        sha256=hashlib.sha256(data).hexdigest(),
        size=size,
        mean=(127.5, 127.5, 127.5),
        deviation=(128.0, 128.0, 128.0),
        licence="made up for a test",
    )
