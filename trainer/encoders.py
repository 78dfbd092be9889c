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
        self.head = nn.Sequential(
            nn.Conv2d(512, 512, side, groups=512, bias=False),  # weighs places: the face is aligned
            nn.BatchNorm2d(512),
            nn.Conv2d(512, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.Flatten(),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 3, S, S] -> float32[N, 128]. S is 112 at the door.

        Training may begin with smaller, cheaper images; their map is enlarged to the head's 7x7 places.
        """
        features: Tensor = self.features(pixels)
        if pixels.shape[-1] != CROP_SIZE:
            places = CROP_SIZE // 16
            features = nn.functional.interpolate(features, size=(places, places), mode="bilinear", align_corners=False)
        return self.head(features)  # type: ignore[no-any-return]


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
    """MobileFaceNet with fused blocks: an encoder that two CPU cores can train in an hour.

    pixels: float32[N, 3, 112, 112], about -1 to 1 -> float32[N, 128], before it is made unit length.
    Dense 3x3 convolutions in place of the depthwise bottlenecks (Tan and Le 2021 found them faster at early
    stages; here they train four times as many crops a second), a patch stem as the resolution costs most, and
    MobileFaceNet's global depthwise convolution at the end (Chen et al. 2018).
    """

    CHANNELS: Final = (64, 128)
    """Of the 14x14 and of the 7x7 map."""

    def __init__(self, blocks: tuple[int, int] = (2, 2), stem: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, stem, 8, 4, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU()]
        channels = stem
        self.ends: list[int] = []
        """Layers whose outputs are the two maps."""
        for after, count in zip(self.CHANNELS, blocks, strict=True):
            layers += [*_convolution(channels, after, 3, 2), nn.ReLU()]
            layers += [FusedResidual(after) for _ in range(count)]
            self.ends.append(len(layers) - 1)
            channels = after
        self.features = nn.Sequential(*layers, *_convolution(channels, 512, 1), nn.ReLU())
        self.head = _global_head(512, CROP_SIZE // 16, EMBEDDING_SIZE)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 3, S, S] -> float32[N, 128]. S is 112 at the door.

        Training may begin with smaller, cheaper images; their map is enlarged to the head's 7x7 places.
        """
        features: Tensor = self.features(pixels)
        if pixels.shape[-1] != CROP_SIZE:
            places = CROP_SIZE // 16
            features = nn.functional.interpolate(features, size=(places, places), mode="bilinear", align_corners=False)
        return self.head(features)  # type: ignore[no-any-return]

    def with_maps(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `forward` at 112 pixels, with the maps float32[N, 64, 14, 14] and float32[N, 128, 7, 7] besides."""
        maps: list[Tensor] = []
        x = pixels
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.ends:
                maps.append(x)
        return self.head(x), maps

    def grow_from(self, smaller: FusedFaceNet) -> None:
        """Takes the weights of a network with as many blocks or fewer. Those that it lacks begin as the identity:
        ReLU(x + 0) is x where x is one already (Chen, Goodfellow, Shlens 2016)."""
        begin = 0
        begin_smaller = 0
        for end, end_smaller in zip(
            [*self.ends, len(self.features) - 1], [*smaller.ends, len(smaller.features) - 1], strict=True
        ):
            for k in range(end - begin + 1):
                layer = self.features[begin + k]
                if begin_smaller + k <= end_smaller:
                    layer.load_state_dict(smaller.features[begin_smaller + k].state_dict())
                else:
                    nn.init.zeros_(layer.layers[-1].weight)  # type: ignore[union-attr,index]
            begin, begin_smaller = end + 1, end_smaller + 1
        self.head.load_state_dict(smaller.head.state_dict())


def _global_head(channels: int, side: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, side, groups=channels, bias=False),  # weighs places: the face is aligned
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.Flatten(),
    )
