"""The networks have the shapes that the articles and the contract say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.encoders import FusedFaceNet, MobileFaceNet, Tutorial


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_the_tutorial_network_is_the_articles(dropout: float) -> None:
    network = Tutorial(dropout)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions] == [
        (1, 4, (3, 3)),
        (4, 8, (3, 3)),
        (8, 8, (3, 3)),
    ]
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert [(c.in_features, c.out_features) for c in linear] == [(80000, 500), (500, 500), (500, 5)]
    kinds = [type(layer) for layer in network.convolutions]
    block = [nn.ReflectionPad2d, nn.Conv2d, nn.ReLU, nn.BatchNorm2d] + ([nn.Dropout2d] if dropout else [])
    assert kinds == block * 3
    assert network(torch.zeros(2, 1, 100, 100)).shape == (2, 5)


@pytest.mark.parametrize("pixels", [64, 80, 112])
@pytest.mark.parametrize("network", [MobileFaceNet(0.25, 8), FusedFaceNet()], ids=["mobile", "fused"])
def test_door_networks_take_smaller_images_in_training(network: nn.Module, pixels: int) -> None:
    assert network(torch.zeros(2, 3, pixels, pixels)).shape == (2, 128)


@pytest.mark.parametrize("network", [MobileFaceNet(0.5, 16), FusedFaceNet()], ids=["mobile", "fused"])
def test_door_networks_fit_in_one_and_a_half_megabytes_of_int8(network: nn.Module) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_500_000
