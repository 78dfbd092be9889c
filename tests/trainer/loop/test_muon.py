"""Muon: steps in all directions alike."""

from __future__ import annotations

import pytest
import torch

from trainer.loop.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 2, 3, 3)])
def test_an_orthogonal_update_has_singular_values_of_about_one(shape: tuple[int, ...]) -> None:
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(gradient).reshape(len(gradient), -1))
    assert float(values.min()) > 0.4
    assert float(values.max()) < 1.3


def test_muon_goes_down_a_bowl() -> None:
    weights = torch.nn.Parameter(torch.eye(3) * 2.0)
    optimiser = Muon([weights], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        weights.square().sum().backward()
        optimiser.step()
    assert float(weights.detach().square().sum()) < 1.0


def test_decay_shrinks_weights_that_nothing_moves() -> None:
    weights = torch.nn.Parameter(torch.eye(3))
    weights.grad = torch.zeros(3, 3)
    Muon([weights], lr=0.1, decay=0.5).step()
    assert torch.allclose(weights.detach(), torch.eye(3) * 0.95)
