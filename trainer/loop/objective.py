"""A stage's losses, put together from the configuration: ours, and pytorch-metric-learning's as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from firmware_config.errors import BadInput
from trainer import losses, mining
from trainer.config import Config
from trainer.parts import CLASS_LOSSES, OWN_LOSSES, Loss, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_DEVIATION: Final = 0.05
"""Of class weights at the start: with 128 of them a class vector is about half a unit long. The library's own 1 is so
large that Adam's steps hardly turn them."""

LIBRARY_LOSSES: Final = {
    "arcface": "ArcFaceLoss",
    "cosface": "CosFaceLoss",
    "subcenter-arcface": "SubCenterArcFaceLoss",
    "proxy-anchor": "ProxyAnchorLoss",
    "multi-similarity": "MultiSimilarityLoss",
    "circle": "CircleLoss",
    "supcon": "SupConLoss",
    "nt-xent": "NTXentLoss",
}
LIBRARY_MINERS: Final = {
    "multi-similarity": "MultiSimilarityMiner",
    "pair-margin": "PairMarginMiner",
    "triplet-margin": "TripletMarginMiner",
}


class Heads(nn.ModuleDict):
    """What losses learn besides the network: class weights, the logistic unit. One of a kind for all stages.

    people: how many train; outputs: length of an embedding. Raises BadInput for options that a loss does not know.
    """

    def __init__(self, config: Config, people: int, outputs: int) -> None:
        super().__init__()
        self.people, self.outputs = people, outputs
        for loss in (each for stage in config.stage for each in stage.loss):
            if loss.name in self:
                continue
            if loss.name == "pair-logistic":
                self[loss.name] = losses.PairLogistic(outputs)
            elif loss.name in CLASS_LOSSES:
                self[loss.name] = _library_loss(loss, people, outputs)


def dissimilarity(heads: Heads | None, first: Tensor, second: Tensor) -> Tensor:
    """How unlike two people are: the logistic unit's probability where there is one, else the distance.

    first, second: float32[..., D] -> float32[...].
    """
    if heads is not None and "pair-logistic" in heads:
        unit = heads["pair-logistic"]
        assert isinstance(unit, losses.PairLogistic)
        return unit.dissimilarity(first, second)
    distance: Tensor = torch.linalg.vector_norm(first - second, dim=-1)
    return distance


class Objective:
    """(float32[N, D] embeddings, int64[N] identities, chance) -> the stage's losses, weighted and added up."""

    def __init__(self, stage: Stage, heads: Heads) -> None:
        self._paired = stage.sampler == "pairs"
        self._terms = [(loss.weight, self._term(loss, heads)) for loss in stage.loss]

    def __call__(self, embeddings: Tensor, identities: Tensor, random: torch.Generator) -> Tensor:
        """As the class says."""
        total = embeddings.new_zeros(())
        for weight, term in self._terms:
            total = total + weight * term(embeddings, identities, random)
        return total

    def _term(self, loss: Loss, heads: Heads) -> Callable[[Tensor, Tensor, torch.Generator], Tensor]:
        if loss.name == "triplet":
            return lambda x, who, random: losses.triplet(x, _mined(loss, x, who, random), loss.distance_margin)
        if loss.name in OWN_LOSSES:
            head = heads[loss.name] if loss.name == "pair-logistic" else None
            return lambda x, who, random: self._pairwise(loss, head, x, who, random)
        module = _library_loss(loss, heads.people, heads.outputs)
        if loss.name in CLASS_LOSSES:  # perhaps another margin than in the stage before, but the same class weights
            for name, weights in heads[loss.name].named_parameters():
                setattr(module, name, weights)
        miner = _library_miner(loss)

        def library(x: Tensor, who: Tensor, random: torch.Generator) -> Tensor:
            if loss.miner in mining.MINERS:
                chosen: Any = tuple(_mined(loss, x, who, random))
            else:
                chosen = miner(x, who) if miner is not None else None
            found: Tensor = module(x, who, chosen)
            return found

        return library

    def _pairwise(self, loss: Loss, head: nn.Module | None, x: Tensor, who: Tensor, random: torch.Generator) -> Tensor:
        pairs = mining.halves(who) if self._paired else mining.balanced(who, random)
        if len(pairs.first) == 0:
            return x.sum() * 0.0
        first, second = x[pairs.first], x[pairs.second]
        if isinstance(head, losses.PairLogistic):
            return head.loss(first, second, pairs.different)
        return losses.contrastive(first, second, pairs.different, loss.distance_margin)


def _mined(loss: Loss, embeddings: Tensor, identities: Tensor, random: torch.Generator) -> mining.Triplets:
    with torch.no_grad():
        distances = mining.pair_distances(embeddings)
        return mining.MINERS[loss.miner or "batch-hard"](distances, identities, loss.distance_margin, random)


def _library_loss(loss: Loss, people: int, outputs: int) -> nn.Module:
    from pytorch_metric_learning import losses as library  # noqa: PLC0415  # slow to load, not always used

    sizes: dict[str, Any] = {}
    if loss.name in CLASS_LOSSES:
        sizes = {
            "num_classes": people,
            "embedding_size": outputs,
            "weight_init_func": lambda weights: nn.init.normal_(weights, std=HEAD_DEVIATION),
        }
    try:
        made: nn.Module = getattr(library, LIBRARY_LOSSES[loss.name])(**sizes, **loss.options)
    except TypeError as error:
        raise BadInput(f"The loss {loss.name} does not take these options: {sorted(loss.options)}. {error}.") from error
    return made


def _library_miner(loss: Loss) -> nn.Module | None:
    if loss.miner not in LIBRARY_MINERS:
        return None
    from pytorch_metric_learning import miners as library  # noqa: PLC0415

    made: nn.Module = getattr(library, LIBRARY_MINERS[loss.miner])()
    return made
