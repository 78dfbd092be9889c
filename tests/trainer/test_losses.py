"""The losses against loops that spell out their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainer import losses
from trainer.mining import Triplets


def _distance(a: Tensor, b: Tensor) -> float:
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


@pytest.mark.parametrize("seed", range(3))
def test_contrastive_against_a_loop(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    first, second = torch.randn(20, 5, generator=random), torch.randn(20, 5, generator=random)
    different = torch.randint(0, 2, (20,), generator=random)
    expected = 0.0
    for a, b, label in zip(first, second, different, strict=True):
        d = _distance(a, b)
        expected += (1 - int(label)) * d**2 + int(label) * max(0.0, 2.0 - d) ** 2
    assert float(losses.contrastive(first, second, different)) == pytest.approx(expected / 20, rel=1e-4)


def test_contrastive_leaves_far_strangers_and_equal_pairs_alone() -> None:
    a = torch.zeros(1, 5)
    far = torch.full((1, 5), 3.0)
    assert float(losses.contrastive(a, far, torch.tensor([1]))) == 0.0
    assert float(losses.contrastive(a, a.clone(), torch.tensor([0]))) == pytest.approx(0.0, abs=1e-6)
    assert float(losses.contrastive(a, a.clone(), torch.tensor([1]))) == pytest.approx(4.0, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_triplet_against_a_loop(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    embeddings = functional.normalize(torch.randn(18, 8, generator=random))
    chosen = Triplets(*torch.randint(0, 18, (3, 40), generator=random))
    expected = 0.0
    for anchor, positive, negative in zip(*chosen, strict=True):
        near, far = (_distance(embeddings[anchor], embeddings[other]) for other in (positive, negative))
        expected += max(0.0, 0.2 + near - far)
    assert float(losses.triplet(embeddings, chosen)) == pytest.approx(expected / 40, abs=1e-4)


def test_no_triplets_are_a_loss_of_zero_with_a_gradient() -> None:
    embeddings = functional.normalize(torch.randn(4, 8)).requires_grad_()
    none = torch.zeros(0, dtype=torch.int64)
    loss = losses.triplet(embeddings, Triplets(none, none, none))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert embeddings.grad is not None


def test_gradients_stay_finite_for_twin_images() -> None:
    embeddings = functional.normalize(torch.ones(4, 8)).requires_grad_()
    rows = torch.tensor([0, 1])
    losses.triplet(embeddings, Triplets(rows, rows + 1, rows + 2)).backward()
    assert embeddings.grad is not None
    assert bool(torch.isfinite(embeddings.grad).all())


@pytest.mark.parametrize("seed", range(3))
def test_pair_logistic_against_a_loop(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    first, second = torch.randn(20, 5, generator=random), torch.randn(20, 5, generator=random)
    different = torch.randint(0, 2, (20,), generator=random)
    unit = losses.PairLogistic(5)
    with torch.no_grad():
        unit.unit.weight.copy_(torch.randn(1, 5, generator=random))
        unit.unit.bias.fill_(0.3)
    weights = unit.unit.weight[0].tolist()
    expected = 0.0
    for a, b, label in zip(first, second, different, strict=True):
        odds = 0.3 + sum(w * abs(float(x) - float(y)) for w, x, y in zip(weights, a, b, strict=True))
        probability = 1.0 / (1.0 + math.exp(-odds))
        assert float(unit.dissimilarity(a, b).detach()) == pytest.approx(probability, rel=1e-4)
        expected -= math.log(probability if int(label) else 1.0 - probability)
    assert float(unit.loss(first, second, different).detach()) == pytest.approx(expected / 20, rel=1e-4)


def test_margin_ranking_against_a_loop() -> None:
    random = torch.Generator().manual_seed(1)
    better, worse = torch.randn(30, generator=random), torch.randn(30, generator=random)
    expected = sum(max(0.0, 0.5 - (float(b) - float(w))) for b, w in zip(better, worse, strict=True)) / 30
    assert float(losses.margin_ranking(better, worse, 0.5)) == pytest.approx(expected, rel=1e-4)


def test_regression_to_a_teacher_against_a_loop() -> None:
    random = torch.Generator().manual_seed(5)
    said, wanted = (functional.normalize(torch.randn(9, 6, generator=random)) for _ in range(2))
    expected = sum(_distance(a, b) ** 2 for a, b in zip(said, wanted, strict=True)) / 9
    assert float(losses.regression(said, wanted)) == pytest.approx(expected, rel=1e-4)
    assert float(losses.regression(said, said)) == 0.0


def test_regression_is_the_mean_squared_distance() -> None:
    random = np.random.default_rng(4)
    student, target = random.normal(size=(6, 8)), random.normal(size=(6, 8))
    expected = (
        sum(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for x, y in zip(student, target, strict=True)) / 6
    )
    found = losses.regression(torch.from_numpy(student), torch.from_numpy(target))
    assert float(found) == pytest.approx(expected)
