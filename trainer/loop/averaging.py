"""Workers that learn apart and meet in the middle: no step waits for the slower one, as shared cores make it."""

from __future__ import annotations

import threading
from typing import Final

import torch
from torch import Tensor, nn

PULL: Final = 0.5
"""How far a worker and the centre go towards each other: two workers stay close, and neither sets the pace."""


def weights_of(network: nn.Module) -> list[Tensor]:
    """All that averages: parameters and the statistics of batch norm, not its counters."""
    return [*network.parameters(), *(b for b in network.buffers() if b.dtype.is_floating_point)]


class Centre:
    """The weights in the middle of all workers', which are the result. Zhang, Choromanska, LeCun 2015 (EASGD)."""

    def __init__(self, network: nn.Module, workers: int) -> None:
        self._middle = [weights.detach().clone() for weights in weights_of(network)]
        self._pull = PULL if workers > 1 else 1.0
        self._lock = threading.Lock()

    @torch.no_grad()
    def meet(self, network: nn.Module) -> None:
        """Worker and centre each go half way to the other; a lone worker's centre is where it is."""
        with self._lock:
            for own, middle in zip(weights_of(network), self._middle, strict=True):
                if self._pull == 1.0:
                    middle.copy_(own)
                else:
                    apart = (own - middle.to(own.device)) * self._pull
                    own.sub_(apart)
                    middle.add_(apart.to(middle.device))

    @torch.no_grad()
    def give(self, network: nn.Module) -> None:
        """The network takes the weights of the centre."""
        with self._lock:
            for own, middle in zip(weights_of(network), self._middle, strict=True):
                own.copy_(middle)
