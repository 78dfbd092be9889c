"""Encoders of the small siamese worlds: the two articles' network, Koch's, and one that begins with edges."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

TUTORIAL_SIZE: Final = 100
"""Side of the articles' grey image, pixels."""

TUTORIAL_OUTPUTS: Final = 5
"""Length of the articles' embedding."""

KOCH_SIZE: Final = 105
"""Side of an Omniglot drawing, pixels."""

KOCH_OUTPUTS: Final = 4096

KOCH_CONVOLUTIONS: Final = ((64, 10, True), (128, 7, True), (128, 4, True), (256, 4, False))
"""Channels, kernel, and whether a pooling by two follows: figure 4 of Koch et al. 2015."""

EDGE_FLOOR: Final = 1e-4
"""Added to the energy around a place before dividing by it, so that an empty one does not show its noise. Squared
grey levels of 0 to 1: edges of a hundredth of the range."""


class Tutorial(nn.Module):
    """The siamese arm of the two articles that started this project.

    pixels: float32[N, 1, 100, 100], 0 to 1 -> float32[N, 5], not unit length.
    Three reflection-padded 3x3 convolutions of 4, 8, 8 channels, then 500, 500, 5. Batch norm comes after
    ReLU, as in the articles. `dropout` 0.2 gives the variant of the first article.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((1, 4), (4, 8), (8, 8)):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(before, after, 3), nn.ReLU(), nn.BatchNorm2d(after)]
            if dropout:
                layers.append(nn.Dropout2d(dropout))
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Sequential(
            nn.Flatten(),
            nn.Linear(8 * TUTORIAL_SIZE * TUTORIAL_SIZE, 500),
            nn.ReLU(),
            nn.Linear(500, 500),
            nn.ReLU(),
            nn.Linear(500, TUTORIAL_OUTPUTS),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 1, 100, 100] -> float32[N, 5]."""
        return self.linear(self.convolutions(pixels))  # type: ignore[no-any-return]


class TwoTowers(nn.Module):
    """Two tutorial networks that share no weights, one for each side of a pair.

    float32[2 * N, 1, 100, 100] -> float32[2 * N, 5]: while it trains the first half of a batch are the first images
    of the pairs and goes through the first tower, the second half through the second. Afterwards an image has one
    embedding, the mean of both towers', so that it does not matter which of two images came first.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.towers = nn.ModuleList([Tutorial(dropout), Tutorial(dropout)])

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[2 * N, 1, 100, 100] -> float32[2 * N, 5]; any number of them when it does not train."""
        first, second = self.towers
        if not self.training:
            middle: Tensor = (first(pixels) + second(pixels)) / 2.0
            return middle
        left, right = pixels.chunk(2)
        return torch.cat([first(left), second(right)])


class Koch(nn.Module):
    """pixels: float32[N, 1, 105, 105], 0 to 1 -> float32[N, 4096], each 0 to 1, not unit length.

    Goes with the pair-logistic loss, whose unit on |f(a) - f(b)| is the last layer of the paper. Weights begin as the
    paper says: normal, deviation 0.01 (0.2 in the full layer), biases around a half. Koch, Zemel, Salakhutdinov 2015.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, side = 1, KOCH_SIZE
        for after, kernel, pooled in KOCH_CONVOLUTIONS:
            convolution = nn.Conv2d(before, after, kernel)
            nn.init.normal_(convolution.weight, std=0.01)
            _half(convolution.bias)
            layers += [convolution, nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else [])]
            before, side = after, (side - kernel + 1) // (2 if pooled else 1)
        full = nn.Linear(before * side * side, KOCH_OUTPUTS)
        nn.init.normal_(full.weight, std=0.2)
        _half(full.bias)
        self.layers = nn.Sequential(*layers, nn.Flatten(), full, nn.Sigmoid())

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 1, 105, 105] -> float32[N, 4096]."""
        return self.layers(pixels)  # type: ignore[no-any-return]


class Edges(nn.Module):
    """How much edge of each direction is around each place: fixed, nothing to learn.

    pixels: float32[N, 1, S, S], 0 to 1 -> float32[N, bins, S / stride, S / stride], each 0 to about 1. Gradients, split
    by direction, pooled over 3 x 3 cells of `stride` pixels and divided by the energy around: Dalal and Triggs 2005.
    """

    filters: Tensor

    def __init__(self, stride: int, bins: int) -> None:
        super().__init__()
        self.stride, self.bins = stride, bins
        directions = torch.arange(bins) * (2.0 * math.pi / bins)
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4.0  # Sobel's
        filters = directions.cos()[:, None, None] * across + directions.sin()[:, None, None] * across.T
        self.register_buffer("filters", filters[:, None], persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 1, S, S] -> float32[N, bins, S / stride, S / stride]."""
        slopes = functional.conv2d(functional.pad(pixels, (1, 1, 1, 1), mode="replicate"), self.filters)
        # The mean over all directions of cos^2 is a half: this is the length of the gradient.
        strength = (slopes.square().mean(dim=1, keepdim=True) * 2.0 + 1e-6).sqrt()
        sharpness = (slopes / strength).clamp(min=0.0).square().square()
        cells = functional.avg_pool2d(strength * sharpness, self.stride)
        cells = functional.avg_pool2d(cells, 3, 1, 1, count_include_pad=False)
        energy = functional.avg_pool2d(cells.square().sum(dim=1, keepdim=True), 3, 1, 1, count_include_pad=False)
        normalised: Tensor = cells * (energy + EDGE_FLOOR).rsqrt()
        return normalised


class EdgeNet(nn.Module):
    """An encoder that learns from a few hundred images: it need not find out what an edge is.

    pixels: float32[N, 1, S, S], 0 to 1 -> float32[N, outputs], not unit length.
    strides: of one map of edges each; channels: of 3x3 convolutions over each map, with a pooling by two between
    them (the same weights for all maps), none for a linear encoder. What comes is one linear layer of it all.
    whitened: whitening.py sets that layer before the training begins.
    """

    def __init__(
        self,
        pixels: int,
        strides: tuple[int, ...] = (4, 8),
        bins: int = 8,
        channels: tuple[int, ...] = (),
        dropout: float = 0.0,
        outputs: int = 128,
        whitened: bool = False,
    ) -> None:
        super().__init__()
        self.edges = nn.ModuleList([Edges(stride, bins) for stride in strides])
        layers: list[nn.Module] = []
        before = bins
        for number, after in enumerate(channels):
            layers += [nn.MaxPool2d(2)] if number else []
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.features = nn.Sequential(*layers, nn.Flatten())
        halvings = max(0, len(channels) - 1)
        length = sum(before * (pixels // stride // 2**halvings) ** 2 for stride in strides)
        # Edges are rare in some places; a linear encoder weighs all alike to begin with, unless it begins whitened.
        self.scale = nn.Identity() if channels or whitened else nn.BatchNorm1d(length, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(length, outputs, bias=whitened)
        self.last = nn.BatchNorm1d(outputs) if channels else nn.Identity()

    def maps(self, pixels: Tensor) -> Tensor:
        """What the linear layer weighs: float32[N, 1, S, S] -> float32[N, L]."""
        return torch.cat([self.features(edges(pixels)) for edges in self.edges], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 1, S, S] -> float32[N, outputs]."""
        return self.last(self.linear(self.dropout(self.scale(self.maps(pixels)))))  # type: ignore[no-any-return]


def _half(bias: Tensor | None) -> None:
    assert bias is not None
    nn.init.normal_(bias, mean=0.5, std=0.01)
