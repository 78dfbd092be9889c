"""Public face encoders that teach: any ONNX file, each with its own crop and pixels."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch.nn import functional

from firmware_config.assets import fetch
from firmware_config.errors import BadInput, BadState
from firmware_config.face import CROP_SIZE, FloatArray, ImageArray
from trainer.config import TeacherFile
from trainer.export import OPSET
from trainer.teaching import facesdk, facexzoo
from trainer.teaching.engines import open_engine

LARGEST_BYTES: Final = 256 * 2**20
"""Of a teacher's file: six times SFace, and no mistake of a path fills the memory."""


class Teacher:
    """One teacher at work."""

    def __init__(self, file: TeacherFile, model: bytes, threads: int = 1) -> None:
        """Raises BadInput when the model does not load."""
        self.file = file
        self._engine = open_engine(model, threads, f"The teacher {file.name}")
        self.numbers = self.say(np.full((1, CROP_SIZE, CROP_SIZE, 3), 127, np.uint8)).shape[1]
        """Of its embedding."""

    def say(self, crops: ImageArray) -> FloatArray:
        """crops: uint8[N, 112, 112, 3] RGB, aligned as at the door -> float32[N, D], unit rows.

        Raises BadState when it does not answer in rows.
        """
        pixels = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float()
        if self.file.size != pixels.shape[-1]:
            side = (self.file.size, self.file.size)
            pixels = functional.interpolate(pixels, side, mode="bilinear", align_corners=False, antialias=True)
        if self.file.order == "bgr":
            pixels = pixels.flip(1)
        mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (self.file.mean, self.file.deviation))
        rows = self._engine(((pixels - mean) / deviation).contiguous().numpy())
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if rows.shape[1] < 2 or not np.all(np.isfinite(lengths) & (lengths > 0)):
            raise BadState(f"The teacher {self.file.name} gave no embedding for some crop.")
        unit: FloatArray = rows / lengths
        return unit


def load_teacher(file: TeacherFile, cache_dir: Path | None = None, threads: int = 1) -> Teacher:
    """Fetches or reads the teacher's file. Raises LostLink, BadInput for another sha256, BadState for other content."""
    return Teacher(file, model_of(file, cache_dir), threads)


def model_of(file: TeacherFile, cache_dir: Path | None = None) -> bytes:
    """The teacher as ONNX bytes, from float32[N, 3, S, S]. Errors as above."""
    if file.asset == facesdk.ASSET:
        return _from_torch(facesdk.load_teacher(cache_dir), file.size)
    if file.asset == facexzoo.ASSET:
        return _from_torch(facexzoo.load_teacher(cache_dir), file.size)
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


def _from_torch(network: torch.nn.Module, size: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notices
        program = torch.onnx.export(
            network,
            (torch.zeros((2, 3, size, size)),),
            input_names=["pixels"],
            output_names=["embeddings"],
            dynamic_shapes={"pixels": {0: torch.export.Dim("N", min=1, max=4096)}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # only the older exporter, writing to a file, returns nothing
    return program.model_proto.SerializeToString()  # type: ignore[no-any-return]
