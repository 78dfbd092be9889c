"""An encoder that breaks the contract is refused when it is loaded, not at the door."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from device.embed import Encoder
from firmware_config.errors import BadInput


def tiny_onnx(
    *,
    shape: tuple[object, ...] = ("N", 112, 112, 3),
    pixels: int = TensorProto.UINT8,
    size: int = 128,
    normalised: bool = True,
) -> bytes:
    """A fixed random projection of the crop's mean rows: small, but a real graph with the real contract."""
    weight = np.random.default_rng(5).normal(size=(112 * 3, size)).astype(np.float32)
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(np.array([0, -1], dtype=np.int64), "flat"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "rows"),
    ]
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "rows"], ["means"], keepdims=0),
        helper.make_node("Reshape", ["means", "flat"], ["vector"]),
        helper.make_node("MatMul", ["vector", "weight"], ["raw"]),
        helper.make_node("LpNormalization" if normalised else "Identity", ["raw"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("crops", pixels, shape)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", size])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def crops(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 112, 112, 3), dtype=np.uint8)


def test_embeddings_are_unit_rows_and_the_id_is_the_files_hash() -> None:
    model = tiny_onnx()
    encoder = Encoder(model)
    embeddings = encoder.embed(crops(3))
    assert embeddings.shape == (3, 128)
    assert embeddings.dtype == np.float32
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    assert encoder.encoder_id == hashlib.sha256(model).hexdigest()


def test_a_crop_embeds_the_same_alone_and_in_company() -> None:
    encoder = Encoder(tiny_onnx())
    together = encoder.embed(crops(4))
    alone = np.concatenate([encoder.embed(crop[None]) for crop in crops(4)])
    assert np.allclose(alone, together, atol=1e-6)


def test_no_crops_no_embeddings() -> None:
    assert Encoder(tiny_onnx()).embed(crops(0)).shape == (0, 128)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (b"no model", "not an ONNX model"),
        (b"", "not an ONNX model"),
        (tiny_onnx(pixels=TensorProto.FLOAT), r"contract is uint8\[N, 112, 112, 3\]"),
        (tiny_onnx(shape=(1, 112, 112, 3)), r"contract is uint8\[N, 112, 112, 3\]"),
        (tiny_onnx(shape=("N", 112, 112, "C")), r"contract is uint8\[N, 112, 112, 3\]"),
        (tiny_onnx(size=64), r"contract is float32\[1, 128\]"),
        (tiny_onnx(normalised=False), "not of length 1"),
    ],
)
def test_encoder_that_breaks_the_contract_is_refused(model: bytes, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        Encoder(model)


@pytest.mark.parametrize("wrong", [crops(1)[0], crops(1)[:, :100], crops(1).astype(np.float32)])
def test_what_is_no_batch_of_crops_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(BadInput, match="Crops are uint8"):
        Encoder(tiny_onnx()).embed(wrong)
