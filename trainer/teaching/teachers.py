"""Public face encoders that teach: any ONNX file, each with its own crop and pixels."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from firmware_config.assets import fetch
from firmware_config.errors import BadInput, BadState
from firmware_config.face import CROP_SIZE, FloatArray, ImageArray
from trainer.config import TeacherFile
from trainer.export import OPSET
from trainer.teaching import facesdk, facexzoo
from trainer.teaching.engines import Engine, OnTorch, open_engine
from trainer.teaching.onnx_on_torch import OnnxNetwork

LARGEST_BYTES: Final = 256 * 2**20
"""Of a teacher's file: six times SFace, and no mistake of a path fills the memory."""


TORCH_TEACHERS: Final[dict[str, Callable[[Path | None], nn.Module]]] = {
    facesdk.ASSET: facesdk.load_teacher,
    facexzoo.ASSET: facexzoo.load_teacher,
}
"""Assets that hold weights of a torch network: which, by where they are kept."""

CPU: Final = torch.device("cpu")


class OwnPixels(nn.Module):
    """The door's crop as a teacher wants it: its size, its order of colours, its range.

    images: float32[N, 3, 112, 112] RGB, 0 to 255 -> float32[N, 3, S, S].
    """

    def __init__(self, file: TeacherFile) -> None:
        super().__init__()
        self.file = file
        self.mean, self.deviation = (
            nn.Buffer(torch.tensor(v).reshape(1, 3, 1, 1)) for v in (file.mean, file.deviation)
        )

    def forward(self, images: Tensor) -> Tensor:
        """As the class says."""
        if self.file.size != images.shape[-1]:
            side = (self.file.size, self.file.size)
            images = functional.interpolate(images, side, mode="bilinear", align_corners=False, antialias=True)
        if self.file.order == "bgr":
            images = images.flip(1)
        wanted: Tensor = (images - self.mean) / self.deviation
        return wanted

    def extra_repr(self) -> str:
        """What is in no buffer."""
        return f"{self.file.size}, {self.file.order}"


class Teacher:
    """One teacher at work."""

    def __init__(self, file: TeacherFile, engine: Engine, device: torch.device = CPU) -> None:
        self.file = file
        self._engine = engine
        self._pixels = OwnPixels(file).to(device)
        self.numbers = self.rows(torch.full((1, 3, CROP_SIZE, CROP_SIZE), 127.0, device=device)).shape[1]
        """Of its embedding."""

    def rows(self, images: Tensor) -> Tensor:
        """images: float32[N, 3, 112, 112] RGB, 0 to 255, aligned as at the door -> float32[N, D], unit rows, there too.

        Raises BadState when it does not answer in rows.
        """
        rows = self._engine(self._pixels(images))
        lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        if rows.shape[1] < 2 or not bool(torch.all(torch.isfinite(lengths) & (lengths > 0))):
            raise BadState(f"The teacher {self.file.name} gave no embedding for some crop.")
        unit: Tensor = rows / lengths
        return unit

    def say(self, crops: ImageArray) -> FloatArray:
        """The same of bytes: uint8[N, 112, 112, 3] RGB -> float32[N, D]."""
        images = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).float()
        return self.rows(images).numpy()


def load_teacher(
    file: TeacherFile,
    cache_dir: Path | None = None,
    threads: int = 1,
    device: torch.device = CPU,
    *,
    exact: bool = False,
) -> Teacher:
    """Fetches or reads the teacher's file, for a GPU or for `threads` of the processor. exact: in float32, also on a
    processor that is quicker in bfloat16.

    Raises LostLink, BadInput for another sha256 or operators that a GPU is not taught, BadState for other content.
    """
    what = f"The teacher {file.name}"
    if device.type == "cpu":
        return Teacher(file, open_engine(model_of(file, cache_dir), threads, what, exact=exact))
    return Teacher(file, OnTorch(network_of(file, cache_dir), device), device)


def network_of(file: TeacherFile, cache_dir: Path | None = None) -> nn.Module:
    """The teacher as a torch module of its own pixels. Errors as above."""
    if file.asset in TORCH_TEACHERS:
        return TORCH_TEACHERS[file.asset](cache_dir)
    return OnnxNetwork(model_of(file, cache_dir), f"The teacher {file.name}")


def model_of(file: TeacherFile, cache_dir: Path | None = None) -> bytes:
    """The teacher as ONNX bytes, from float32[N, 3, S, S]. Errors as above."""
    if file.asset in TORCH_TEACHERS:
        return torch_to_onnx(TORCH_TEACHERS[file.asset](cache_dir), file.size)
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


def torch_to_onnx(network: torch.nn.Module, size: int, one: bool = False) -> bytes:
    """A network of float32[N, 3, size, size] as an ONNX file. one: for N = 1, else for any N."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notices
        program = torch.onnx.export(
            network,
            (torch.zeros((1 if one else 2, 3, size, size)),),
            input_names=["pixels"],
            output_names=["embeddings"],
            dynamic_shapes=None if one else ({0: torch.export.Dim("N", min=1, max=4096)},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # only the older exporter, writing to a file, returns nothing
    return program.model_proto.SerializeToString()  # type: ignore[no-any-return]
