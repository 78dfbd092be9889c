"""The optimiser that taught the student most a crop here: momentum whose matrices are made orthogonal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn

MOMENTUM: Final = 0.95
ROUNDS: Final = 5
COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Of the quintic that drives all singular values towards 1, tuned by Jordan et al. 2024; five rounds leave them
between about 0.7 and 1.2, which is near enough."""


def orthogonal(gradient: Tensor) -> Tensor:
    """float32[A, ...] -> the same shape with, as a matrix [A, rest], singular values of about 1.

    Newton-Schulz iteration: products of matrices only. Zeros stay zeros. Jordan et al. 2024.
    """
    a, b, c = COEFFICIENTS
    x = gradient.reshape(len(gradient), -1)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    rows: Tensor = x.T if tall else x
    return rows.reshape(gradient.shape)


class Muon(torch.optim.Optimizer):
    """For weights of two or more dimensions. Jordan et al. 2024; torch's own takes matrices only.

    decay: of the weights a step, times the rate. All updates are of one length, so without it the weights grow and the
    same rate turns them less and less (Liu et al. 2025).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the orthogonalised Nesterov momentum."""
        del closure  # the base class' signature has one; nothing here needs the loss again
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state = self.state[weights]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(weights)
                momentum = state["momentum"].mul_(MOMENTUM).add_(weights.grad)
                update = orthogonal(weights.grad + MOMENTUM * momentum)
                tallness = max(1.0, len(weights) ** 2 / weights.numel()) ** 0.5
                weights.mul_(1.0 - group["lr"] * group["decay"])
                weights.add_(update, alpha=-group["lr"] * tallness)


def optimisers(network: nn.Module, rate: float, rate_rest: float, decay: float = 0.0) -> list[torch.optim.Optimizer]:
    """Muon for dense weights, AdamW without decay for all else (biases, norms, one filter a channel)."""
    dense = [p for p in network.parameters() if p.ndim >= 2 and p.shape[1] > 1]
    chosen = {id(p) for p in dense}
    rest = [p for p in network.parameters() if id(p) not in chosen]
    return [Muon(dense, rate, decay), torch.optim.AdamW(rest, rate_rest, betas=(0.9, 0.99), weight_decay=0.0)]
