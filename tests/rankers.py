"""A ranking of quality that needs no training: it likes light."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper


def light_ranker(darkest: float = 60.0, *, divisor: float = 60.0) -> bytes:
    """A quality.onnx that likes light: (mean grey level - darkest) / divisor."""
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["N", 112, 112, 3])
    quality = helper.make_tensor_value_info("quality", TensorProto.FLOAT, ["N"])
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("darkest", TensorProto.FLOAT, [], [darkest]),
        helper.make_tensor("divisor", TensorProto.FLOAT, [], [divisor]),
    ]
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "darkest"], ["above"]),
        helper.make_node("Div", ["above", "divisor"], ["quality"]),
    ]
    graph = helper.make_graph(nodes, "light", [crops], [quality], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
