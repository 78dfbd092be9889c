"""Workers that meet in the middle."""

from __future__ import annotations

import torch

from trainer.loop.averaging import Centre


def test_the_centre_and_a_worker_go_half_way() -> None:
    network = torch.nn.Linear(2, 2, bias=False)
    torch.nn.init.zeros_(network.weight)
    centre = Centre(network, workers=2)
    torch.nn.init.ones_(network.weight)
    centre.meet(network)
    assert torch.equal(network.weight, torch.full((2, 2), 0.5))
    centre.give(network)
    assert torch.equal(network.weight, torch.full((2, 2), 0.5))
