"""Weights are rounded so that their errors cancel: the answers come out nearer than each weight's own nearest step."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from device.runtime import open_session
from trainer import export
from trainer.encoders import FusedFaceNet
from trainer.rounding import round_together, rounded

STEPS = 64


def nearest(weights: np.ndarray) -> np.ndarray:
    step = np.abs(weights).max(axis=1, keepdims=True) / STEPS
    return np.rint(weights / step) * step


def test_inputs_that_go_together_let_errors_cancel() -> None:
    random = np.random.default_rng(3)
    # Sixty inputs that are mixtures of fifteen, as neighbouring places of a map are.
    seen = random.normal(size=(4000, 15)) @ random.normal(size=(15, 60)) + 0.1 * random.normal(size=(4000, 60))
    weights = random.normal(size=(8, 60))
    found = round_together(weights, seen.T @ seen, STEPS)
    error, plain = (np.square(seen @ (each - weights).T).mean() for each in (found, nearest(weights)))
    assert error < 0.3 * plain


def test_every_weight_lies_on_a_step_that_rounding_finds_again() -> None:
    random = np.random.default_rng(4)
    seen = random.normal(size=(500, 20)) @ random.normal(size=(20, 20))
    weights = np.vstack([random.normal(size=(5, 20)), np.zeros((1, 20))])
    found = round_together(weights, seen.T @ seen, STEPS)
    assert np.abs(found).max(axis=1) == pytest.approx(np.abs(weights).max(axis=1))
    assert found[:5] == pytest.approx(nearest(found[:5]), abs=1e-12)
    assert np.all(found[5] == 0.0)


def test_an_input_that_is_never_there_keeps_its_nearest_step() -> None:
    random = np.random.default_rng(5)
    seen = random.normal(size=(300, 6))
    seen[:, 2] = 0.0
    weights = random.normal(size=(3, 6))
    assert round_together(weights, seen.T @ seen, STEPS)[:, 2] == pytest.approx(nearest(weights)[:, 2])


def test_an_encoder_of_int8_says_more_nearly_what_it_says_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(6)
    network = FusedFaceNet((16, 16, 32, 64), (0, 0, 1, 0)).eval()
    random = np.random.default_rng(6)
    coarse = random.integers(0, 256, (96, 14, 14, 3)).astype(np.uint8)
    crops = np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2)
    full = export.to_onnx(network)

    def said(model: bytes) -> np.ndarray:
        rows: np.ndarray = open_session(model, 1, "it").run(None, {export.INPUT: crops[64:]})[0]
        return rows

    better = said(export.quantise(full, crops[:64]))
    monkeypatch.setattr(export, "rounded", lambda model, crops, name, steps: model)
    plain = said(export.quantise(full, crops[:64]))
    error, before = (np.square(rows - said(full)).sum(1).mean() for rows in (better, plain))
    assert error < 0.8 * before


def test_filters_of_one_channel_each_are_left_alone() -> None:
    random = np.random.default_rng(2)
    shapes = {"each": (3, 1, 3, 3), "all": (4, 3, 1, 1)}
    held = [numpy_helper.from_array(random.normal(size=s).astype(np.float32), name) for name, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["pixels", "each"], ["x"], group=3, kernel_shape=[3, 3]),
        helper.make_node("Conv", ["x", "all"], ["rows"], kernel_shape=[1, 1]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("pixels", "rows")]
    graph = helper.make_graph(nodes, "made", ends[:1], ends[1:], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = made.SerializeToString()
    images = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
    changed = onnx.load_from_string(rounded(model, images, "pixels", STEPS)).graph.initializer  # type: ignore[arg-type]
    kept = {each.name: numpy_helper.to_array(each) for each in onnx.load_from_string(model).graph.initializer}
    moved = [each.name for each in changed if not np.array_equal(numpy_helper.to_array(each), kept[each.name])]
    assert [kept[name].shape for name in moved] == [(4, 3, 1, 1)]
