"""YuNet's graph as the door runs it: from pixels as they come to one row for each face.

What OpenCV's FaceDetectorYNImpl does around the network (anchors, boxes, groups) is done by onnxruntime: in numpy it
took a quarter of the network's time, on a processor whose caches the network has just emptied.
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
    a face must exceed. Outputs: FACES float32[N, 15], one row for each group of boxes that overlap: the middle, width
    and height of the box and ten landmark coordinates, input pixels; cls times obj of its best. Then box, kps and
    likely of all anchors, for whoever compares two ways of computing them.
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
        *_groups(),
        *_blend(),
    ]
    constants = [
        helper.make_tensor("most", TensorProto.INT64, [1], [MAX_FACES]),
        helper.make_tensor("overlap", TensorProto.FLOAT, [1], [MAX_OVERLAP]),
        helper.make_tensor("column", TensorProto.INT64, [], [2]),
        helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
        helper.make_tensor("a_half", TensorProto.FLOAT, [], [0.5]),
    ]
    inputs = [
        (INPUT, TensorProto.UINT8, [1, 3, "height", "width"]),
        (AT, TensorProto.FLOAT, [1, "anchors", 4]),
        (STEP, TensorProto.FLOAT, [1, "anchors", 1]),
        (SCORE, TensorProto.FLOAT, [1]),
    ]
    outputs = [
        (FACES, ["faces", 15]),
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


def _groups() -> list[onnx.NodeProto]:
    """box, kps and likely -> of the M anchors above SCORE `boxes` [M, 4], `marks` [M, 10] and `sure` [M, 1]; and `best`
    [N], the row of the best one of each group of boxes that overlap."""
    node = helper.make_node
    told = {"box": "boxes", "kps": "kps_in_steps", "likely": "sure", AT: "place", STEP: "steps"}
    return [
        node("Greater", ["likely", SCORE], ["above"]),
        node("Reshape", ["above", "flat"], ["is_above"]),
        *[node("Compress", [name, "is_above"], [f"{kept}_1"], axis=1) for name, kept in told.items()],
        *[node("Squeeze", [f"{kept}_1"], [kept], axes=[0]) for kept in told.values()],
        node("Split", ["place"], ["corner", "nothing"], axis=1, split=[2, 2]),
        node("Concat", ["corner"] * 5, ["corners"], axis=1),
        node("Mul", ["kps_in_steps", "steps"], ["marks_off"]),
        node("Add", ["marks_off", "corners"], ["marks"]),
        node("Transpose", ["sure_1"], ["scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes_1", "scores", "most", "overlap", SCORE], ["chosen"], center_point_box=1),
        node("Gather", ["chosen", "column"], ["best"], axis=1),
    ]


def _blend() -> list[onnx.NodeProto]:
    """The mean of each group instead of its best, as in Bazarevsky et al. 2019 (BlazeFace). Which of two anchors is
    the best changes with a grey level, and their landmarks lie pixels apart. An anchor counts by how far it is above
    SCORE, and its overlap above that of a group: none of them comes or goes at once."""
    node = helper.make_node
    return [
        node("Split", ["boxes"], ["middle", "sides"], axis=1, split=[2, 2]),
        node("Mul", ["sides", "a_half"], ["halves"]),
        node("Sub", ["middle", "halves"], ["low"]),
        node("Add", ["middle", "halves"], ["high"]),
        node("ReduceProd", ["sides"], ["area"], axes=[1], keepdims=0),
        *[node("Gather", [name, "best"], [f"best_{name}"], axis=0) for name in ("low", "high", "area", "sure")],
        *[node("Unsqueeze", [f"best_{name}"], [f"the_{name}"], axes=[1]) for name in ("low", "high", "area")],
        node("Max", ["low", "the_low"], ["shared_low"]),
        node("Min", ["high", "the_high"], ["shared_high"]),
        node("Sub", ["shared_high", "shared_low"], ["across"]),
        node("Relu", ["across"], ["shared_sides"]),
        node("ReduceProd", ["shared_sides"], ["shared"], axes=[2], keepdims=0),
        node("Add", ["area", "the_area"], ["both"]),
        node("Sub", ["both", "shared"], ["union"]),
        node("Div", ["shared", "union"], ["overlaps"]),
        node("Sub", ["overlaps", "overlap"], ["more"]),
        node("Relu", ["more"], ["together"]),
        node("Sub", ["sure", SCORE], ["surer"]),
        node("Squeeze", ["surer"], ["weight"], axes=[1]),
        node("Mul", ["together", "weight"], ["weights"]),
        node("ReduceSum", ["weights"], ["all_weights"], axes=[1], keepdims=1),
        node("Div", ["weights", "all_weights"], ["shares"]),
        node("Concat", ["boxes", "marks"], ["points"], axis=1),
        node("MatMul", ["shares", "points"], ["means"]),
        node("Concat", ["means", "best_sure"], [FACES], axis=1),
    ]
