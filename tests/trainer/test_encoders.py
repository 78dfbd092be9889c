"""The door's networks have the shapes that the contract says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.encoders import FusedFaceNet, MobileFaceNet


@pytest.mark.parametrize("pixels", [64, 80, 112])
@pytest.mark.parametrize("network", [MobileFaceNet(0.25, 8), FusedFaceNet()], ids=["mobile", "fused"])
def test_door_networks_take_smaller_images_in_training(network: nn.Module, pixels: int) -> None:
    assert network(torch.zeros(2, 3, pixels, pixels)).shape == (2, 128)


@pytest.mark.parametrize("network", [MobileFaceNet(0.5, 16), FusedFaceNet()], ids=["mobile", "fused"])
def test_door_networks_fit_in_one_and_a_half_megabytes_of_int8(network: nn.Module) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_500_000
