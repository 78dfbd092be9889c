"""A toy encoder, its calibration, and image files: small enough to make in a test."""

from __future__ import annotations

import io

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from firmware_config.calibration import Calibration, Histogram, OperatingPoint
from firmware_config.face import ImageArray


def toy_onnx(seed: int, noise: float = 0.0) -> bytes:
    """Crop -> 16x16 averages without their mean -> a random projection to 128 unit numbers. noise: how far the
    projection is from the seed's own, so that two encoders are nearly one."""
    weights = np.random.default_rng(seed).normal(size=(7 * 7 * 3, 128)).astype(np.float32)
    weights += np.float32(noise) * np.random.default_rng(99).normal(size=weights.shape).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("ReduceMean", ["flat", "axes"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["flat", "mean"], ["centred"]),
        # Something for a flat crop too, so that it has a length.
        helper.make_node("Add", ["centred", "bias"], ["shifted"]),
        helper.make_node("MatMul", ["shifted", "weights"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["embeddings"], axis=1, p=2),
    ]
    bias = np.linspace(-0.5, 0.5, 7 * 7 * 3, dtype=np.float32)
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", 112, 112, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 128])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def toy_calibration(shift: float = 0.0) -> Calibration:
    """Genuine distances around 0.3, impostors around 1.0; tau at FMR 1e-4 is 0.25 + shift."""
    centres = np.linspace(0, 2, 401)[:-1] + 0.0025
    genuine = np.exp(-(((centres - 0.2 - shift) / 0.06) ** 2))
    impostor = np.exp(-(((centres - 1.0 - shift) / 0.2) ** 2))
    rates = {1e-2: 0.62, 1e-3: 0.45, 1e-4: 0.25, 1e-5: 0.20, 1e-6: 0.15}
    return Calibration(
        genuine=Histogram(counts=[int(value) for value in 1e4 * genuine]),
        impostor=Histogram(counts=[int(value) for value in 1e5 * impostor]),
        operating_points=[
            OperatingPoint(
                fmr=fmr,
                tau=tau + shift,
                tau_low=tau + shift - 0.02,
                tau_high=tau + shift + 0.02,
                fnmr=0.1,
                fnmr_low=0.05,
                fnmr_high=0.2,
                extrapolated=fmr < 1e-4,
            )
            for fmr, tau in rates.items()
        ],
        identities=50,
        genuine_pairs=1000,
        impostor_pairs=100_000,
        method="Made up for tests.",
        source="Nobody.",
    )


def png(image: ImageArray) -> bytes:
    """uint8[H, W] or uint8[H, W, 3] BGR -> PNG."""
    done, data = cv2.imencode(".png", image)
    assert done
    return bytes(data)


def jpeg_turned(photo: bytes) -> bytes:
    """The same picture as a telephone held sideways saves it: pixels lying, EXIF orientation 6."""
    image = Image.open(io.BytesIO(photo)).convert("RGB").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=97, exif=exif)
    return stream.getvalue()
