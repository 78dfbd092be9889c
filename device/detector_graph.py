"""YuNet's graph as the door runs it: from pixels as they come to one row for each face.

What OpenCV's FaceDetectorYNImpl does around the network (anchors, boxes, suppression) is done by onnxruntime: in numpy
it took a quarter of the network's time, on a processor whose caches the network has just emptied.
"""

from __future__ import annotations

from typing import Final

import onnx
from onnx import TensorProto, helper

from device.detect import AT, FACES, INPUT, MAX_FACES, MAX_OVERLAP, SCORE, STEP, STRIDES

KINDS: Final = ("cls", "obj", "bbox", "kps")
"""What each level says of each anchor: is it a face, is it an object, the box, five landmarks."""


def as_the_door_runs_it(model: bytes) -> bytes:
    """model: the official file's bytes -> another ONNX model's.

    Inputs: INPUT uint8[1, 3, h, w] BGR, h and w multiples of 32; AT float32[1, A, 4] and STEP float32[1, A, 1], of each
    anchor its place with two zeros, and the pixels between those of its level; SCORE float32[1], what cls times obj of
    a face must exceed. Outputs: FACES float32[1, N, 20], the best of each group of boxes that overlap: the middle,
    width and height of the box, input pixels; ten landmark coordinates as the network gives them; cls times obj; AT and
    STEP of the anchor. Then box, kps and likely of all anchors, for whoever compares two ways of computing them.
    """
    network = onnx.load_from_string(model)
    graph = network.graph
    node = helper.make_node
    nodes = [node("Cast", [INPUT], [graph.input[0].name], to=TensorProto.FLOAT), *graph.node]
    nodes += [node("Concat", [f"{kind}_{stride}" for stride in STRIDES], [kind], axis=1) for kind in KINDS]
    nodes += [
        node("Mul", ["cls", "obj"], ["likely"]),
        node("Split", ["bbox"], ["off", "log_size"], axis=2, split=[2, 2]),
        node("Exp", ["log_size"], ["size"]),
        node("Concat", ["off", "size"], ["box_in_steps"], axis=2),
        node("Mul", ["box_in_steps", STEP], ["box_off"]),
        node("Add", ["box_off", AT], ["box"]),
        node("Transpose", ["likely"], ["scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["box", "scores", "most", "overlap", SCORE], ["chosen"], center_point_box=1),
        node("Gather", ["chosen", "column"], ["best"], axis=1),
    ]
    told = ("box", "kps", "likely", AT, STEP)
    nodes += [node("Gather", [name, "best"], [f"best_{name}"], axis=1) for name in told]
    nodes.append(node("Concat", [f"best_{name}" for name in told], [FACES], axis=2))
    constants = [
        helper.make_tensor("most", TensorProto.INT64, [1], [MAX_FACES]),
        helper.make_tensor("overlap", TensorProto.FLOAT, [1], [MAX_OVERLAP]),
        helper.make_tensor("column", TensorProto.INT64, [], [2]),
    ]
    inputs = [
        (INPUT, TensorProto.UINT8, [1, 3, "height", "width"]),
        (AT, TensorProto.FLOAT, [1, "anchors", 4]),
        (STEP, TensorProto.FLOAT, [1, "anchors", 1]),
        (SCORE, TensorProto.FLOAT, [1]),
    ]
    outputs = [
        (FACES, [1, "faces", 20]),
        *[(name, [1, "anchors", columns]) for name, columns in (("box", 4), ("kps", 10), ("likely", 1))],
    ]
    for kept, fresh in (
        (graph.node, nodes),
        (graph.input, [helper.make_tensor_value_info(*given) for given in inputs]),
        (graph.output, [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs]),
        (graph.initializer, [*graph.initializer, *constants]),
        # Shapes of the values in between were written for 640x640 and would contradict the input.
        (graph.value_info, []),
    ):
        copied = list(fresh)
        del kept[:]
        kept.extend(copied)
    return bytes(network.SerializeToString(deterministic=True))
