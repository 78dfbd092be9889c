"""The siamese losses. ArcFace and its like are pytorch-metric-learning's: see objective.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.mining import Triplets


def contrastive(first: Tensor, second: Tensor, different: Tensor, margin: float = 2.0) -> Tensor:
    """The articles' loss over pairs, a scalar >= 0.

    first, second: float32[N, D]; different: [N], 0 for the same person, 1 for two. Pulls the same together by
    d^2 and pushes others out to `margin` by (margin - d)^2. Hadsell, Chopra, LeCun 2006, without its halves.
    """
    # The articles' pairwise_distance: its 1e-6 inside keeps the root's slope finite at d = 0.
    distance = nn.functional.pairwise_distance(first, second)
    apart = different.to(distance.dtype)
    pull = (1.0 - apart) * distance.square()
    push = apart * (margin - distance).clamp(min=0.0).square()
    return (pull + push).mean()


def triplet(embeddings: Tensor, triplets: Triplets, margin: float = 0.2) -> Tensor:
    """Mean over the triplets of max(0, margin + d(anchor, positive) - d(anchor, negative)); 0 when there are none.

    embeddings: float32[N, D]. Schroff, Kalenichenko, Philbin 2015, with d in place of its square (Hermans 2017).
    """
    if len(triplets.anchors) == 0:
        return embeddings.sum() * 0.0
    anchors = embeddings[triplets.anchors]
    near = nn.functional.pairwise_distance(anchors, embeddings[triplets.positives])
    far = nn.functional.pairwise_distance(anchors, embeddings[triplets.negatives])
    return (margin + near - far).clamp(min=0.0).mean()


class PairLogistic(nn.Module):
    """A logistic unit on |f(a) - f(b)|, which learns together with f: Koch, Zemel, Salakhutdinov 2015.

    first, second: float32[..., D] -> float32[...], the log odds that they are two people.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.unit = nn.Linear(outputs, 1)
        # It begins as what it generalises, the city-block distance, and not as a sum of random signs.
        nn.init.constant_(self.unit.weight, outputs**-0.5)
        nn.init.constant_(self.unit.bias, -1.0)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """As the class says."""
        odds: Tensor = self.unit((first - second).abs())
        return odds[..., 0]

    def dissimilarity(self, first: Tensor, second: Tensor) -> Tensor:
        """The same as a probability, 0 to 1: a score for verification in place of the distance."""
        return torch.sigmoid(self(first, second))

    def loss(self, first: Tensor, second: Tensor, different: Tensor) -> Tensor:
        """Mean cross-entropy in nats. different: [N], 0 for the same person, 1 for two."""
        odds = self(first, second)
        return nn.functional.binary_cross_entropy_with_logits(odds, different.to(odds.dtype))


def margin_ranking(better: Tensor, worse: Tensor, margin: float) -> Tensor:
    """Mean of max(0, margin - (better - worse)): float32[...] scores each -> a scalar >= 0.

    Liu, van de Weijer, Bagdanov 2017 (RankIQA).
    """
    return (margin - (better - worse)).clamp(min=0.0).mean()


def regression(embeddings: Tensor, targets: Tensor) -> Tensor:
    """Mean squared distance of each embedding to its target: 0 to 4.

    embeddings, targets: float32[N, D], unit rows. Romero et al. 2015 regress a student to a teacher so.
    """
    return (embeddings - targets).square().sum(dim=1).mean()
