"""The miners against loops that spell out what each chooses, and a stage's losses put together from a configuration."""

from __future__ import annotations

import itertools

import pytest
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss, TripletMarginLoss
from torch import Tensor
from torch.nn import functional

from firmware_config.errors import BadInput
from trainer import losses, mining
from trainer.config import Config
from trainer.loop.objective import Heads, Objective, dissimilarity


def _batch(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    embeddings = functional.normalize(torch.randn(18, 8, generator=random))
    identities = torch.randint(0, 6, (18,), generator=random)
    return embeddings, identities, mining.pair_distances(embeddings)


def _triplets(chosen: mining.Triplets) -> list[tuple[int, int, int]]:
    return [(int(a), int(p), int(n)) for a, p, n in zip(*chosen, strict=True)]


def _sides(identities: Tensor, anchor: int) -> tuple[list[int], list[int]]:
    rows = range(len(identities))
    positives = [row for row in rows if row != anchor and identities[row] == identities[anchor]]
    return positives, [row for row in rows if identities[row] != identities[anchor]]


@pytest.mark.parametrize("seed", range(4))
def test_batch_hard_against_a_loop(seed: int) -> None:
    _, identities, d = _batch(seed)
    expected = []
    for anchor in range(18):
        positives, negatives = _sides(identities, anchor)
        if positives and negatives:
            farthest = max(positives, key=lambda row: float(d[anchor, row]))
            nearest = min(negatives, key=lambda row: float(d[anchor, row]))
            expected.append((anchor, farthest, nearest))
    assert _triplets(mining.batch_hard(d, identities, 0.2, torch.Generator())) == expected


@pytest.mark.parametrize("seed", range(4))
def test_semi_hard_against_a_loop(seed: int) -> None:
    _, identities, d = _batch(seed)
    expected = []
    for anchor in range(18):
        positives, negatives = _sides(identities, anchor)
        for positive in positives:
            reach = float(d[anchor, positive])
            fits = [row for row in negatives if reach < float(d[anchor, row]) < reach + 0.3]
            if fits:
                expected.append((anchor, positive, min(fits, key=lambda row: float(d[anchor, row]))))
    assert expected
    assert _triplets(mining.semi_hard(d, identities, 0.3, torch.Generator())) == expected


def test_random_triplets_are_triplets_and_differ_by_chance_alone() -> None:
    _, identities, d = _batch(1)
    first, again, other = (
        _triplets(mining.random_triplets(d, identities, 0.2, torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)
    )
    assert first == again != other
    for anchor, positive, negative in first:
        positives, negatives = _sides(identities, anchor)
        assert positive in positives
        assert negative in negatives
    assert [anchor for anchor, _, _ in first] == [a for a in range(18) if all(_sides(identities, a))]


@pytest.mark.parametrize("miner", list(mining.MINERS))
def test_strangers_only_or_one_person_only_give_no_triplets(miner: str) -> None:
    embeddings, _, d = _batch(0)
    for identities in (torch.arange(18), torch.zeros(18, dtype=torch.int64)):
        chosen = mining.MINERS[miner](d, identities, 0.2, torch.Generator())
        assert len(chosen.anchors) == len(chosen.positives) == len(chosen.negatives) == 0
        assert float(losses.triplet(embeddings, chosen)) == 0.0


def test_balanced_pairs_have_every_genuine_one_once_and_as_many_strangers() -> None:
    _, identities, _ = _batch(2)
    pairs = mining.balanced(identities, torch.Generator().manual_seed(0))
    genuine = {(int(a), int(b)) for a, b, apart in zip(*pairs, strict=True) if not apart}
    assert genuine == {(a, b) for a, b in itertools.combinations(range(18), 2) if identities[a] == identities[b]}
    strangers = {(int(a), int(b)) for a, b, apart in zip(*pairs, strict=True) if apart}
    assert len(strangers) == len(genuine) == len(pairs.first) / 2
    assert all(identities[a] != identities[b] for a, b in strangers)


def _config(*stage_losses: dict[str, object], sampler: str = "people") -> Config:
    stage = {"epochs": 1, "pixels": 100, "learning_rate": [1e-3, 1e-3], "sampler": sampler, "loss": list(stage_losses)}
    return Config.model_validate(
        {"name": "x", "network": {"kind": "tutorial"}, "data": {"source": "att"}, "stage": [stage]}
    )


def _loss_of(config: Config, embeddings: Tensor, identities: Tensor) -> float:
    torch.manual_seed(0)
    heads = Heads(config, 6, embeddings.shape[1])
    found = Objective(config.stage[0], heads)(embeddings, identities, torch.Generator().manual_seed(0))
    assert bool(torch.isfinite(found))
    return float(found.detach())


def test_a_stage_adds_its_losses_up_by_weight() -> None:
    embeddings, identities, d = _batch(3)
    config = _config({"name": "triplet", "weight": 2.0, "margin": 0.4}, {"name": "multi-similarity", "weight": 0.5})
    hard = losses.triplet(embeddings, mining.batch_hard(d, identities, 0.4, torch.Generator()), 0.4)
    expected = 2.0 * float(hard) + 0.5 * float(MultiSimilarityLoss()(embeddings, identities))
    assert _loss_of(config, embeddings, identities) == pytest.approx(expected, rel=1e-4)


def test_our_miner_feeds_the_library_s_losses() -> None:
    """Triplets are the library's kind of tuple: its own triplet loss comes to what ours does."""
    embeddings, identities, d = _batch(3)
    chosen = mining.batch_hard(d, identities, 0.2, torch.Generator())
    library = TripletMarginLoss(margin=0.2)(embeddings, identities, tuple(chosen))  # its mean is over those above 0
    terms = [losses.triplet(embeddings, mining.Triplets(*(part[i : i + 1] for part in chosen))) for i in range(18)]
    above = [float(term) for term in terms if float(term) > 0]
    assert float(library) == pytest.approx(sum(above) / len(above), rel=1e-3)


def test_pairs_of_the_sampler_are_halves_of_the_batch() -> None:
    embeddings, identities, _ = _batch(4)
    expected = losses.contrastive(embeddings[:9], embeddings[9:], identities[:9] != identities[9:], 1.5)
    config = _config({"name": "contrastive", "margin": 1.5}, sampler="pairs")
    assert _loss_of(config, embeddings, identities) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        {"name": "pair-logistic"},
        {"name": "contrastive"},
        {"name": "triplet", "miner": "semi-hard"},
        {"name": "triplet", "miner": "random"},
        {"name": "arcface", "options": {"margin": 10.0, "scale": 30.0}},
        {"name": "cosface"},
        {"name": "subcenter-arcface", "options": {"sub_centers": 2}},
        {"name": "proxy-anchor"},
        {"name": "multi-similarity", "miner": "multi-similarity"},
        {"name": "circle", "miner": "batch-hard"},
        {"name": "supcon", "options": {"temperature": 0.2}},
        {"name": "nt-xent", "miner": "pair-margin"},
    ],
    ids=lambda loss: "-".join([loss["name"], loss.get("miner", "")]),
)
def test_every_loss_is_reached_by_its_name(loss: dict[str, object]) -> None:
    embeddings, identities, _ = _batch(5)
    assert _loss_of(_config(loss), embeddings, identities) > 0.0


def test_class_weights_are_the_same_in_every_stage() -> None:
    embeddings, identities, _ = _batch(5)
    config = _config({"name": "arcface", "options": {"margin": 20.0}})
    heads = Heads(config, 6, 8)
    learning = embeddings.clone().requires_grad_()
    Objective(config.stage[0], heads)(learning, identities, torch.Generator()).backward()
    weights = list(heads.parameters())
    assert len(weights) == 1
    assert weights[0].grad is not None


def test_the_logistic_unit_is_the_score_where_there_is_one() -> None:
    embeddings, _, d = _batch(6)
    heads = Heads(_config({"name": "pair-logistic"}), 6, 8)
    scores = dissimilarity(heads, embeddings[:, None], embeddings[None, :]).detach()
    assert scores.shape == (18, 18)
    assert torch.equal(scores, scores.T)
    assert bool(((scores > 0) & (scores < 1)).all())
    assert torch.allclose(dissimilarity(None, embeddings[:, None], embeddings[None, :]), d, atol=1e-3)


@pytest.mark.parametrize(
    ("loss", "part"),
    [
        ({"name": "contrastive", "miner": "batch-hard"}, "no miner"),
        ({"name": "triplet", "miner": "multi-similarity"}, "no miner"),
        ({"name": "arcface", "margin": 0.3}, "margin is of contrastive and triplet"),
        ({"name": "triplet", "options": {"margin": 0.3}}, "options are of the library's losses"),
    ],
)
def test_what_a_loss_does_not_have_is_refused(loss: dict[str, object], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        _config(loss)


def test_options_that_the_library_does_not_know_are_a_sentence() -> None:
    config = _config({"name": "supcon", "options": {"temprature": 0.2}})
    with pytest.raises(BadInput, match="temprature"):
        Objective(config.stage[0], Heads(config, 6, 8))
