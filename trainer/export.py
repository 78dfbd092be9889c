"""A trained network -> the door's ONNX file: uint8 crops in, unit rows out, int8 inside."""

from __future__ import annotations

import copy
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before onnxruntime: nothing leaves the building

import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from firmware_config.face import CROP_SIZE, FloatArray, ImageArray
from trainer.encoders import normalise
from trainer.pixel_input import centred, straight, with_extremes
from trainer.rounding import rounded

OPSET: Final = 18
"""Old enough for every onnxruntime that pyproject allows."""

INPUT: Final = "crops"
OUTPUT: Final = "embeddings"

CALIBRATION_BATCH: Final = 32


class DoorGraph(nn.Module):
    """The network with normalisation of pixels and of the output around it, so nobody can get them wrong.

    crops: uint8[N, 112, 112, 3] RGB -> float32[N, 128], unit rows. With `mirrored`, each crop is looked at twice, as it
    is and in the mirror, and the two answers are added: twice the time, fewer errors.
    """

    def __init__(self, network: nn.Module, mirrored: bool = False) -> None:
        super().__init__()
        self.network = network
        self.mirrored = mirrored

    def forward(self, crops: Tensor) -> Tensor:
        """crops: uint8[N, 112, 112, 3] RGB -> float32[N, 128], unit rows."""
        if self.mirrored:
            both = self.network(normalise(torch.cat([crops, crops.flip(2)])))
            answers: Tensor = both.reshape(2, -1, both.shape[-1]).sum(dim=0)
        else:
            answers = self.network(normalise(crops))
        embeddings: Tensor = nn.functional.normalize(answers)
        return embeddings


def to_onnx(network: nn.Module, mirrored: bool = False) -> bytes:
    """The door's graph in float32, for any N. Nothing of this machine's paths is left in it."""
    return graph_to_onnx(DoorGraph(network, mirrored), OUTPUT)


def torch_rows(network: nn.Module, crops: ImageArray, mirrored: bool = False) -> FloatArray:
    """What torch says of crops, through the same graph: uint8[N, 112, 112, 3] -> float32[N, 128]."""
    with torch.inference_mode():
        rows: Tensor = DoorGraph(network, mirrored).eval()(torch.from_numpy(crops))
    return rows.numpy()


def graph_to_onnx(graph: nn.Module, output: str) -> bytes:
    """A module of uint8[N, 112, 112, 3] crops -> ONNX in float32, for any N."""
    graph = _folded(graph).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    example = torch.zeros((2, CROP_SIZE, CROP_SIZE, 3), dtype=torch.uint8)
    # The exporter's own deprecation notices say nothing about this model.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=[INPUT],
            output_names=[output],
            dynamic_shapes={"crops": {0: torch.export.Dim("N", min=1, max=4096)}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # only the older exporter, writing to a file, returns nothing
    return stripped(program.model_proto).SerializeToString()  # type: ignore[no-any-return]


def _folded(graph: nn.Module) -> nn.Module:
    """A copy for inference, its batch norms folded into the convolutions before them (Jacob et al. 2018): torch's
    exporter does so too, but traces them first, and takes half as long again."""
    graph = copy.deepcopy(graph).eval()
    for layers in graph.modules():
        if isinstance(layers, nn.Sequential):
            for place in range(1, len(layers)):
                convolution, norm = layers[place - 1], layers[place]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    layers[place - 1], layers[place] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return graph


def stripped(model: Any) -> Any:
    """The same model without stack traces, notes and names of whoever exported it."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer, graph):
        if hasattr(part, "doc_string"):
            part.doc_string = ""
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
    return model


class _Crops(CalibrationDataReader):  # type: ignore[misc]
    """Feeds crops to onnxruntime's range finder, a batch at a time."""

    def __init__(self, crops: ImageArray) -> None:
        self.batches: Iterator[ImageArray] = iter(np.array_split(crops, max(1, len(crops) // CALIBRATION_BATCH)))

    def get_next(self) -> dict[str, ImageArray] | None:
        """The next feed, or None at the end."""
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: np.ascontiguousarray(batch)}


WEIGHT_STEPS: Final = 64
"""Of seven bits on either side of 0, as onnxruntime's `reduce_range` counts them."""

ROUNDING_CROPS: Final = 128
"""Crops that say which weights see the same."""


def quantise(model: bytes, crops: ImageArray) -> bytes:
    """Static int8: QDQ, uint8 activations, int8 weights by channel.

    crops: uint8[M, 112, 112, 3] of people trained on, a few hundred: they set the ranges of activations.
    Weights keep to seven bits: x86 processors without VNNI add pairs of products in 16 bits, which eight bits
    overflow, and then one face would have other numbers on another board. They are rounded so that their errors cancel.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, ready, small = (Path(folder) / name for name in ("plain.onnx", "ready.onnx", "small.onnx"))
        plain.write_bytes(model)
        quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # it logs a page of advice for other kinds of model
        try:
            centre = centred(ready.read_bytes())
            ready.write_bytes(rounded(centre, crops[:: max(1, len(crops) // ROUNDING_CROPS)], INPUT, WEIGHT_STEPS))
            quantize_static(
                str(ready),
                str(small),
                _Crops(with_extremes(crops)),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                calibrate_method=CalibrationMethod.MinMax,
                op_types_to_quantize=["Conv", "Add", "Relu"],
            )
        finally:
            logging.getLogger().setLevel(level)
        return stripped(onnx.load_from_string(straight(small.read_bytes()))).SerializeToString()  # type: ignore[no-any-return]


def golden_inputs(count: int = 8, seed: int = 20) -> ImageArray:
    """uint8[count, 112, 112, 3]: coloured waves and noise, no faces, for the door's self-test."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:CROP_SIZE, 0:CROP_SIZE] / CROP_SIZE
    images = np.empty((count, CROP_SIZE, CROP_SIZE, 3), dtype=np.float64)
    for image in images:
        for channel in range(3):
            waves, phase = random.uniform(-4.0, 4.0, 2), random.uniform(0.0, 2.0 * np.pi)
            image[..., channel] = np.sin(2.0 * np.pi * (waves[0] * rows + waves[1] * columns) + phase)
    images = 127.5 + 100.0 * images + random.normal(0.0, 8.0, images.shape)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)
