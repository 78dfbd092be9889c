"""The door's networks: MobileFaceNet and its fused kin. small_encoders.py has those of the small siamese worlds."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from firmware_config.face import CROP_SIZE, EMBEDDING_SIZE

PIXEL_MEAN: Final = 127.5
"""Grey level that becomes 0. Pixels run 0 to 255."""

PIXEL_SCALE: Final = 128.0
"""Grey levels to a unit, so that pixels run about -1 to 1 (MobileFaceNet's own choice)."""


def normalise(crops: Tensor) -> Tensor:
    """uint8[N, H, W, 3] -> float32[N, 3, H, W], about -1 to 1. The export graph does the same inside."""
    return crops.permute(0, 3, 1, 2).float().sub_(PIXEL_MEAN).div_(PIXEL_SCALE)


# Expansion, channels at width 1, blocks, stride of the first: table 1 of Chen et al. 2018.
MOBILEFACENET_STAGES: Final = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


def _convolution(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    padding = kernel // 2
    return [nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(after)]


class Bottleneck(nn.Module):
    """Inverted residual with ReLU: widen 1x1, filter 3x3 by channel, narrow 1x1 without activation.

    float32[N, before, H, W] -> float32[N, after, H / stride, W / stride]. Sandler et al. 2018.
    """

    def __init__(self, before: int, after: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        self.residual = stride == 1 and before == after
        self.layers = nn.Sequential(
            *_convolution(before, wide, 1),
            nn.ReLU(),
            *_convolution(wide, wide, 3, stride, groups=wide),
            nn.ReLU(),
            *_convolution(wide, after, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, before, H, W] -> float32[N, after, H / stride, W / stride]."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """The door's encoder.

    pixels: float32[N, 3, 112, 112], about -1 to 1 -> float32[N, 128], before it is made unit length.
    `width` scales the channels; `stem` the channels at the costly 56x56 resolution.
    Chen et al. 2018, with ReLU in place of PReLU, which int8 runs three times slower.
    """

    def __init__(self, width: float = 1.0, stem: int = 64, outputs: int = EMBEDDING_SIZE) -> None:
        super().__init__()
        channels = stem
        layers: list[nn.Module] = [
            *_convolution(3, channels, 3, 2),
            nn.ReLU(),
            *_convolution(channels, channels, 3, groups=channels),
            nn.ReLU(),
        ]
        for expansion, at_width_one, blocks, stride in MOBILEFACENET_STAGES:
            after = round(at_width_one * width)
            for block in range(blocks):
                layers.append(Bottleneck(channels, after, stride if block == 0 else 1, expansion))
                channels = after
        self.features = nn.Sequential(*layers, *_convolution(channels, 512, 1), nn.ReLU())
        side = CROP_SIZE // 16
        self.head = _global_head(512, side, outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 3, S, S] -> float32[N, 128]. S is 112 at the door.

        Training may begin with smaller, cheaper images; their map is enlarged to the head's 7x7 places.
        """
        return self.head(_at_full_size(self.features(pixels), pixels, CROP_SIZE // 16))  # type: ignore[no-any-return]


class FusedResidual(nn.Module):
    """Two dense 3x3 convolutions and a shortcut: float32[N, C, H, W] -> the same shape. He et al. 2016."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(channels, channels, 3), nn.ReLU(), *_convolution(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """float32[N, C, H, W] -> float32[N, C, H, W]."""
        return torch.relu(x + self.layers(x))


class FusedFaceNet(nn.Module):
    """MobileFaceNet with fused blocks: an encoder that two CPU cores can train in an hour or two.

    pixels: float32[N, 3, 112, 112], about -1 to 1 -> float32[N, 128], before it is made unit length.
    Dense 3x3 convolutions in place of the depthwise bottlenecks (Tan and Le 2021 found them faster at early
    stages; here they train four times as many crops a second), each map half as wide as the one before it, and
    MobileFaceNet's global depthwise convolution at the end (Chen et al. 2018).
    """

    def __init__(
        self, channels: tuple[int, ...] = (16, 48, 80, 160), blocks: tuple[int, ...] = (0, 1, 4, 1), last: int = 512
    ) -> None:
        """channels, blocks: of the maps of 56, 28, 14 and 7 pixels."""
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        self.stages: list[range] = []
        """Layers of each map."""
        for after, count in zip(channels, blocks, strict=True):
            begin = len(layers)
            layers += [*_convolution(before, after, 3, 2), nn.ReLU()]
            layers += [FusedResidual(after) for _ in range(count)]
            self.stages.append(range(begin, len(layers)))
            before = after
        self.features = nn.Sequential(*layers, *_convolution(before, last, 1), nn.ReLU())
        self.places = CROP_SIZE // 2 ** len(channels)
        """Side of the last map, cells."""
        self.head = _global_head(last, self.places, EMBEDDING_SIZE)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 3, S, S] -> float32[N, 128]. S is 112 at the door; see MobileFaceNet for less."""
        return self.head(_at_full_size(self.features(pixels), pixels, self.places))  # type: ignore[no-any-return]

    def grow_from(self, smaller: FusedFaceNet) -> None:
        """Takes the weights of a network with as many blocks or fewer. Those that it lacks begin as the identity:
        ReLU(x + 0) is x where x is one already (Chen, Goodfellow, Shlens 2016). Raises RuntimeError for other
        channels."""
        ends = range(self.stages[-1].stop, len(self.features)), range(smaller.stages[-1].stop, len(smaller.features))
        for own, other in zip([*self.stages, ends[0]], [*smaller.stages, ends[1]], strict=True):
            for k in range(len(own)):
                layer = self.features[own[k]]
                if k < len(other):
                    layer.load_state_dict(smaller.features[other[k]].state_dict())
                else:
                    nn.init.zeros_(layer.layers[-1].weight)  # type: ignore[union-attr,index]
        self.head.load_state_dict(smaller.head.state_dict())


def _at_full_size(features: Tensor, pixels: Tensor, places: int) -> Tensor:
    """The last map as large as that of the door's crop, whatever the size of the training images."""
    if pixels.shape[-1] == CROP_SIZE:
        return features
    return nn.functional.interpolate(features, size=(places, places), mode="bilinear", align_corners=False)


class WeighedPlaces(nn.Conv2d):
    """A weight for every place of a map, as the face is aligned: float32[N, C, S, S] -> float32[N, C, 1, 1].

    A depthwise convolution as large as its map, and exported as one (Chen et al. 2018). Trained as the sum that it is:
    torch's backward of such a convolution takes an eighth of a whole step on a CPU.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__(channels, channels, side, groups=channels, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name that Conv2d gives it
        """float32[N, C, S, S] -> float32[N, C, 1, 1]."""
        if not self.training:
            return super().forward(input)
        return (input * self.weight[:, 0].to(input.dtype)).sum((2, 3), keepdim=True)


def _global_head(channels: int, side: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        WeighedPlaces(channels, side),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.Flatten(),
    )
