"""The door's networks have the shapes that the contract says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.encoders import FusedFaceNet, MobileFaceNet, WeighedPlaces


@pytest.mark.parametrize("pixels", [64, 80, 112])
@pytest.mark.parametrize("network", [MobileFaceNet(0.25, 8), FusedFaceNet()], ids=["mobile", "fused"])
def test_door_networks_take_smaller_images_in_training(network: nn.Module, pixels: int) -> None:
    assert network(torch.zeros(2, 3, pixels, pixels)).shape == (2, 128)


@pytest.mark.parametrize("network", [MobileFaceNet(0.5, 16), FusedFaceNet()], ids=["mobile", "fused"])
def test_door_networks_fit_in_one_and_a_half_megabytes_of_int8(network: nn.Module) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_500_000


def test_places_are_weighed_alike_while_it_trains_and_when_it_is_exported() -> None:
    layer, maps = WeighedPlaces(6, 7), torch.randn(3, 6, 7, 7, generator=torch.Generator().manual_seed(2))
    trained, exported = layer.train()(maps), layer.eval()(maps)
    assert trained.shape == exported.shape == (3, 6, 1, 1)
    assert torch.allclose(trained, exported, atol=1e-5)
