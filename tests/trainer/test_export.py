"""What leaves the workstation is the network that was trained, in the shape that doors take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from device.embed import Encoder
from trainer import export
from trainer.encoders import FusedFaceNet, MobileFaceNet
from trainer.export import DoorGraph


def _network(kind: str) -> torch.nn.Module:
    torch.manual_seed(1)
    network = FusedFaceNet() if kind == "fused" else MobileFaceNet(0.25, 8)
    # Statistics as after some training, so that batch norm does something.
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.randn(8, 3, 112, 112))
    return network.eval()


@pytest.fixture(scope="module", params=["fused", "mobile"])
def exported(request: pytest.FixtureRequest) -> tuple[torch.nn.Module, bytes]:
    network = _network(request.param)
    return network, export.to_onnx(network)


@pytest.mark.slow
def test_the_graph_equals_torch_for_any_batch(exported: tuple[torch.nn.Module, bytes]) -> None:
    network, model = exported
    crops = export.golden_inputs(5)
    encoder = Encoder(model)
    with torch.inference_mode():
        expected = DoorGraph(network)(torch.from_numpy(crops)).numpy()
    for count in (1, 2, 5):
        assert np.allclose(encoder.embed(crops[:count]), expected[:count], atol=2e-5)


@pytest.mark.slow
def test_int8_is_close_to_float_and_small(exported: tuple[torch.nn.Module, bytes]) -> None:
    _, model = exported
    crops = export.golden_inputs(24, seed=3)
    small = export.quantise(model, crops)
    cosines = (Encoder(model).embed(crops[:8]) * Encoder(small).embed(crops[:8])).sum(axis=1)
    assert float(cosines.min()) > 0.97
    assert len(small) < 1_500_000
    kinds = {node.op_type for node in onnx.load_from_string(small).graph.node}
    assert "QuantizeLinear" in kinds
    assert "BatchNormalization" not in kinds


@pytest.mark.slow
def test_nothing_of_this_machine_is_in_the_file(exported: tuple[torch.nn.Module, bytes]) -> None:
    _, model = exported
    read = onnx.load_from_string(model)
    assert not read.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in read.graph.node)
    for path in (Path(__file__).parents[2], Path(torch.__file__).parent):
        assert str(path).encode() not in model


def test_golden_inputs_are_the_same_everywhere_and_not_flat() -> None:
    first, second = export.golden_inputs(), export.golden_inputs()
    assert first.shape == (8, 112, 112, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert float(first.std(axis=(1, 2)).min()) > 20.0


def test_a_mirrored_encoder_says_the_same_of_a_face_and_of_its_mirror() -> None:
    crops = np.random.default_rng(2).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    network = _network("fused")
    plain, mirrored = (Encoder(export.to_onnx(network, both)) for both in (False, True))
    turned = np.ascontiguousarray(crops[:, :, ::-1])
    assert mirrored.embed(crops) == pytest.approx(mirrored.embed(turned), abs=1e-5)
    assert np.abs(plain.embed(crops) - plain.embed(turned)).max() > 1e-3
    alone = np.concatenate([mirrored.embed(crop[None]) for crop in crops])
    assert alone == pytest.approx(mirrored.embed(crops), abs=1e-5)
