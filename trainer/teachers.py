"""Public face encoders that teach: any ONNX file, each with its own crop and pixels, asked through onnxruntime."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from torch.nn import functional

from device.runtime import open_session
from firmware_config.assets import fetch
from firmware_config.errors import BadInput, BadState
from firmware_config.face import FloatArray, ImageArray
from trainer import facesdk
from trainer.config import TeacherFile
from trainer.export import OPSET

LARGEST_BYTES: Final = 256 * 2**20
"""Of a teacher's file: six times SFace, and no mistake of a path fills the memory."""


@dataclass(frozen=True)
class Said:
    """What a teacher says of N crops. embeddings: float32[N, D], unit rows; maps: float32[N, C, S, S] each."""

    embeddings: FloatArray
    maps: tuple[FloatArray, ...]


class Teacher:
    """One teacher at work."""

    def __init__(self, file: TeacherFile, model: bytes, threads: int = 1) -> None:
        """Raises BadInput when the model does not load or lacks a map that is asked for."""
        self.file = file
        self._session = open_session(_with_outputs(file, model), threads, f"The teacher {file.name}")
        self._input = self._session.get_inputs()[0].name
        first = self._session.get_outputs()[0].name
        self._outputs = [first, *file.maps]

    def say(self, crops: ImageArray) -> Said:
        """crops: uint8[N, 112, 112, 3] RGB, aligned as at the door. Raises BadState when it does not answer in rows."""
        pixels = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float()
        if self.file.size != pixels.shape[-1]:
            side = (self.file.size, self.file.size)
            pixels = functional.interpolate(pixels, side, mode="bilinear", align_corners=False, antialias=True)
        if self.file.order == "bgr":
            pixels = pixels.flip(1)
        mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (self.file.mean, self.file.deviation))
        ready = ((pixels - mean) / deviation).numpy()
        found = self._run(ready)
        rows = found[0].reshape(len(crops), -1).astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if rows.shape[1] < 2 or not np.all(np.isfinite(lengths) & (lengths > 0)):
            raise BadState(f"The teacher {self.file.name} gave no embedding for some crop.")
        return Said(rows / lengths, tuple(map_.astype(np.float32) for map_ in found[1:]))

    def _run(self, pixels: FloatArray) -> list[FloatArray]:
        shape = self._session.get_inputs()[0].shape
        if shape[0] != 1:
            return list(self._session.run(self._outputs, {self._input: pixels}))
        # Files such as SFace's fix the batch at one.
        each = [self._session.run(self._outputs, {self._input: row[None]}) for row in pixels]
        return [np.concatenate(parts) for parts in zip(*each, strict=True)]


def load_teacher(file: TeacherFile, cache_dir: Path | None = None, threads: int = 1) -> Teacher:
    """Fetches or reads the teacher's file. Raises LostLink, BadInput for another sha256, BadState for other content."""
    return Teacher(file, model_of(file, cache_dir), threads)


def model_of(file: TeacherFile, cache_dir: Path | None = None) -> bytes:
    """The teacher as ONNX bytes, from float32[N, 3, S, S]. Errors as above."""
    if file.asset == facesdk.ASSET:
        return _from_torch(facesdk.load_teacher(cache_dir), file.size, tuple(facesdk.MAPS))
    if file.asset:
        return fetch(file.asset, cache_dir).read_bytes()
    path = Path(file.onnx)
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise BadInput(f"The teacher {path} is larger than {LARGEST_BYTES} bytes.")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"The teacher {path} cannot be read: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise BadInput(f"The teacher {path} has the sha256 {digest}, not the one that the configuration pins.")
    return data


def _from_torch(network: torch.nn.Module, size: int, maps: tuple[str, ...]) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notices
        program = torch.onnx.export(
            network,
            (torch.zeros((2, 3, size, size)),),
            input_names=["pixels"],
            output_names=["embeddings", *maps],
            dynamic_shapes={"pixels": {0: torch.export.Dim("N", min=1, max=4096)}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # only the older exporter, writing to a file, returns nothing
    return program.model_proto.SerializeToString()  # type: ignore[no-any-return]


def _with_outputs(file: TeacherFile, data: bytes) -> bytes:
    """The same model with its maps among the outputs. Raises BadInput."""
    if not file.maps:
        return data
    try:
        model = onnx.load(io.BytesIO(data))
    except Exception as error:  # protobuf's decoder has its own error class, which moves between versions
        raise BadInput(f"The teacher {file.name} is not an ONNX model ({error}).") from error
    there = {output.name for output in model.graph.output}
    made = {name for node in model.graph.node for name in node.output}
    for name in file.maps:
        if name not in made:
            raise BadInput(f"The teacher {file.name} has no tensor {name!r} to take a map from.")
        if name not in there:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    data = model.SerializeToString()
    return bytes(data)
