"""The siamese losses. ArcFace is pytorch-metric-learning's."""

from __future__ import annotations

import torch
from torch import Tensor


def contrastive(first: Tensor, second: Tensor, different: Tensor, margin: float = 2.0) -> Tensor:
    """The articles' loss over pairs, a scalar >= 0.

    first, second: float32[N, D]; different: [N], 0 for the same person, 1 for two. Pulls the same together by
    d^2 and pushes others out to `margin` by (margin - d)^2. Hadsell, Chopra, LeCun 2006, without its halves.
    """
    # The articles' pairwise_distance: its 1e-6 inside keeps the root's slope finite at d = 0.
    distance = torch.nn.functional.pairwise_distance(first, second)
    apart = different.to(distance.dtype)
    pull = (1.0 - apart) * distance.square()
    push = apart * (margin - distance).clamp(min=0.0).square()
    return (pull + push).mean()


def pair_distances(embeddings: Tensor) -> Tensor:
    """float32[N, D] -> float32[N, N], Euclidean, with a finite slope at 0."""
    squares = embeddings.square().sum(dim=1)
    squared = squares[:, None] + squares[None, :] - 2.0 * embeddings @ embeddings.T
    return squared.clamp(min=1e-12).sqrt()


def batch_hard_triplet(embeddings: Tensor, identities: Tensor, margin: float = 0.3) -> Tensor:
    """For each anchor its farthest positive and nearest negative in the batch; a scalar >= 0.

    embeddings: float32[N, D], unit rows; identities: int64[N]. Mean over the anchors that have a positive of
    max(0, margin + d(positive) - d(negative)); 0 when none has. Hermans, Beyer, Leibe 2017.
    """
    distances = pair_distances(embeddings)
    same = identities[:, None] == identities[None, :]
    positive = same & ~torch.eye(len(embeddings), dtype=torch.bool, device=same.device)
    usable = positive.any(dim=1) & (~same).any(dim=1)
    if not bool(usable.any()):
        return embeddings.sum() * 0.0
    farthest = distances.masked_fill(~positive, -torch.inf).amax(dim=1)
    nearest = distances.masked_fill(same, torch.inf).amin(dim=1)
    return (margin + farthest - nearest)[usable].clamp(min=0.0).mean()


def regression(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Mean squared distance of each embedding to its target: 0 to 4.

    embeddings, targets: float32[N, D], unit rows. Romero et al. 2015 regress a student to a teacher so.
    """
    return (embeddings - targets).square().sum(dim=1).mean()
