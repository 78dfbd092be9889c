"""The losses against loops that spell out their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainer import losses


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
def test_batch_hard_triplet_against_a_loop(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    embeddings = functional.normalize(torch.randn(18, 8, generator=random))
    identities = torch.randint(0, 6, (18,), generator=random)
    terms = []
    for i in range(18):
        positive = [
            _distance(embeddings[i], embeddings[j]) for j in range(18) if j != i and identities[j] == identities[i]
        ]
        negative = [_distance(embeddings[i], embeddings[j]) for j in range(18) if identities[j] != identities[i]]
        if positive:
            terms.append(max(0.0, 0.3 + max(positive) - min(negative)))
    expected = sum(terms) / len(terms)
    assert float(losses.batch_hard_triplet(embeddings, identities)) == pytest.approx(expected, abs=2e-4)


def test_batch_hard_triplet_of_strangers_only_is_zero_and_has_a_gradient() -> None:
    embeddings = functional.normalize(torch.randn(4, 8)).requires_grad_()
    loss = losses.batch_hard_triplet(embeddings, torch.arange(4))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert embeddings.grad is not None


def test_gradients_stay_finite_for_twin_images() -> None:
    embeddings = functional.normalize(torch.ones(4, 8)).requires_grad_()
    losses.batch_hard_triplet(embeddings, torch.tensor([0, 0, 1, 1])).backward()
    assert embeddings.grad is not None
    assert bool(torch.isfinite(embeddings.grad).all())


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
