"""An encoder that needs no training: coarse pixels, projected. It recognises a picture, not a person."""

from __future__ import annotations

from datetime import datetime, timezone
from hashlib import sha256

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from device.align import align
from device.demo_camera import DemoScene, parse_demo
from device.detect import Detector
from device.embed import Encoder
from firmware_config.bundle import Golden, Manifest, golden_bytes, pack_bundle
from firmware_config.face import ImageArray
from firmware_config.keys import SigningKey
from firmware_config.messages import encode
from firmware_config.roster import Person, template_bytes
from tests.makers import calibration


def pixel_encoder() -> bytes:
    """uint8[N, 112, 112, 3] -> float32[N, 128]: 14x14 averages without their mean, projected, unit length."""
    weights = np.random.default_rng(0).normal(size=(14 * 14 * 3, 128)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["coarse"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["coarse"], ["flat"]),
        helper.make_node("ReduceMean", ["flat", "axes"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["flat", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "weights"], ["projected"]),
        helper.make_node("Add", ["projected", "nudge"], ["nudged"]),  # a flat grey crop has no direction of its own
        helper.make_node("LpNormalization", ["nudged"], ["embeddings"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "pixels",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", 112, 112, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 128])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1], np.int64), "axes"),
            numpy_helper.from_array(np.full(128, 1e-3, np.float32), "nudge"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def bundle_of(model: bytes, key: SigningKey, version: str = "1.0.0") -> bytes:
    """Signed, with golden outputs of this very board."""
    inputs = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    manifest = Manifest(
        name="pixels",
        version=version,
        encoder_id=sha256(model).hexdigest(),
        created=datetime(2025, 1, 1, tzinfo=timezone.utc),
        trained_on=[],
        licence="Apache-2.0",
    )
    parts = {
        "manifest.json": encode(manifest),
        "encoder.onnx": model,
        "calibration.json": encode(calibration()),
        "golden.npz": golden_bytes(Golden(inputs, Encoder(model).embed(inputs))),
        "MODEL_CARD.md": b"Coarse pixels, for a test.\n",
    }
    return pack_bundle(parts, key)


def enrolled(person: int, faces: dict[int, list[ImageArray]], encoder: Encoder, detector: Detector) -> Person:
    """From a frame of a walk-up of its own, by the same way as at the door."""
    plan = parse_demo(f"demo:?owners={person}&strangers=&photos=1&seed=11")
    image, _ = DemoScene(plan, faces).at(plan.approach + 0.2)
    crop = align(image, detector.detect(image)[0].landmarks)
    template = encoder.embed(crop[None])[0]
    return Person(id=f"p{person}", name=f"Person {person}", templates=[template_bytes(template)])
