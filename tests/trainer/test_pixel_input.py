"""An int8 network takes pixels as they are: no way into floats and back, and no pixel that becomes its neighbour."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from device.embed import Encoder
from firmware_config.face import ImageArray
from trainer import export
from trainer.encoders import PIXEL_SCALE, FusedFaceNet
from trainer.pixel_input import centred, straight


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(1)
    made = FusedFaceNet()
    with torch.no_grad():
        for _ in range(3):  # statistics as after some training
            made.train()(torch.randn(8, 3, 112, 112))
    return made.eval()


@pytest.fixture(scope="module")
def crops() -> ImageArray:
    """uint8[16, 112, 112, 3], what the ranges are found with."""
    return export.golden_inputs(16)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "mirrored"])
def exported(request: pytest.FixtureRequest, network: nn.Module) -> bytes:
    """The network in float32."""
    return export.to_onnx(network, request.param)


@pytest.fixture(scope="module")
def int8(exported: bytes, crops: ImageArray) -> bytes:
    """The same as a bundle has it."""
    return export.quantise(exported, crops)


def first_layer_reads(model: bytes) -> list[str]:
    """Operators between the pixels and the first convolution, from below."""
    graph = onnx.load_from_string(model).graph
    made_by = {output: node for node in graph.node for output in node.output}
    place = next(node.input[0] for node in graph.node if node.op_type == "Conv")
    found = []
    while place in made_by:
        found.insert(0, made_by[place].op_type)
        place = made_by[place].input[0]
    return found


@pytest.mark.slow
def test_no_arithmetic_is_left_between_pixels_and_the_first_layer(int8: bytes) -> None:
    left = first_layer_reads(int8)
    assert left[-1] == "DequantizeLinear"
    assert not {"Cast", "Sub", "Div", "QuantizeLinear"} & set(left)
    assert "Cast" not in {node.op_type for node in onnx.load_from_string(int8).graph.node}


@pytest.mark.slow
def test_what_is_left_out_changes_no_bit(exported: bytes, crops: ImageArray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "straight", lambda model: model)
    longer = export.quantise(exported, crops)
    assert np.array_equal(Encoder(straight(longer)).embed(crops), Encoder(longer).embed(crops))


def test_around_another_middle_a_network_says_the_same(exported: bytes, crops: ImageArray) -> None:
    """But for the padding, which is half a grey level brighter."""
    before, after = (Encoder(model).embed(crops) for model in (exported, centred(exported)))
    assert not np.array_equal(before, after)
    assert float(np.linalg.norm(before - after, axis=1).max()) < 0.01


@pytest.mark.slow
def test_each_pixel_is_its_own_byte(int8: bytes) -> None:
    model = onnx.load_from_string(int8)
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    reads = next(node for node in model.graph.node if first.input[0] in node.output)
    assert int(constants[reads.input[2]]) == 128
    assert float(constants[reads.input[1]]) == pytest.approx(1 / PIXEL_SCALE)


def test_a_network_that_begins_otherwise_stays_as_it_is() -> None:
    padded = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = export.to_onnx(padded)
    assert centred(model) == model
    assert straight(model) == model
