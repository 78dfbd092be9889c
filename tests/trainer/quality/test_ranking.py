"""Which of two pictures is worse: pairs are made, ranked and learned."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from device.embed import Encoder
from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from tests.pixels import pixel_encoder
from trainer.quality import ranking
from trainer.quality.distortions import DISTORTIONS, LEVELS, distort


@pytest.fixture(scope="module")
def crops() -> ImageArray:
    """Smooth coloured shapes with an edge or two, where faces would be."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:112, 0:112] / 112.0
    made = []
    for _ in range(24):
        waves = [np.sin(2 * np.pi * (random.uniform(1, 6) * x + random.uniform(1, 6) * y)) for _ in range(3)]
        edges = (np.hypot(x - random.uniform(0.3, 0.7), y - random.uniform(0.3, 0.7)) < 0.25)[..., np.newaxis]
        made.append(128 + 55 * np.stack(waves, axis=-1) + 50 * edges)
    return np.clip(np.stack(made), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", sorted(DISTORTIONS))
def test_each_step_moves_the_picture_farther_from_what_it_was(crops: ImageArray, kind: str) -> None:
    random = np.random.default_rng(1)
    errors = [
        np.mean([np.abs(distort(crop, kind, level, random).astype(float) - crop).mean() for crop in crops[:6]])
        for level in range(LEVELS + 1)
    ]
    assert errors[0] == 0.0
    assert errors == sorted(errors)


@pytest.mark.parametrize(("kind", "level"), [("haze", 1), ("blur", -1), ("blur", LEVELS + 1)])
def test_an_unknown_distortion_is_refused(crops: ImageArray, kind: str, level: int) -> None:
    with pytest.raises(BadInput, match="blur"):
        distort(crops[0], kind, level, np.random.default_rng(0))


def test_ranking_within_a_crop_is_the_mean_hinge_over_its_pairs() -> None:
    scores = torch.tensor([[3.0, 2.2, 2.5, 0.0, -1.0, -1.2]])
    pairs = [max(0.0, 0.5 - float(better - worse)) for better, worse in itertools.combinations(scores[0].tolist(), 2)]
    assert float(ranking.within(scores, 0.5)) == pytest.approx(sum(pairs) / len(pairs))


def test_pictures_of_other_crops_are_ranked_by_what_they_do_to_the_encoder() -> None:
    scores, drift = torch.tensor([0.0, 1.0, 0.4]), torch.tensor([0.0, 1.0, 0.1])
    # 0 and 2 drift alike and are not ranked; both must stand above 1.
    expected = (max(0.0, 0.5 - (0.0 - 1.0)) + max(0.0, 0.5 - (0.4 - 1.0))) / 2
    assert float(ranking.across(scores, drift, 0.5)) == pytest.approx(expected)
    assert float(ranking.across(scores, torch.zeros(3), 0.5)) == 0.0


def test_a_few_steps_learn_to_see_blur_and_noise(crops: ImageArray) -> None:
    encoder = Encoder(pixel_encoder())
    how = ranking.RankingRun(steps=25, ladders=10, rate=5e-3)
    network = ranking.train_ranking(crops[:16], encoder, how, lambda _: None)
    random = np.random.default_rng(5)
    for kind in ("blur", "noise"):
        clear = ranking.score(network, crops[16:])
        spoilt = ranking.score(network, np.stack([distort(crop, kind, LEVELS, random) for crop in crops[16:]]))
        assert float(np.mean(clear > spoilt)) >= 0.75


def test_the_same_seed_learns_the_same(crops: ImageArray) -> None:
    encoder = Encoder(pixel_encoder())
    how = ranking.RankingRun(steps=3, ladders=5)
    first, second = (ranking.train_ranking(crops, encoder, how, lambda _: None) for _ in range(2))
    assert np.array_equal(ranking.score(first, crops[:4]), ranking.score(second, crops[:4]))


def test_without_crops_there_is_nothing_to_learn() -> None:
    with pytest.raises(BadInput, match="no crops"):
        ranking.train_ranking(
            np.empty((0, 112, 112, 3), np.uint8), Encoder(pixel_encoder()), ranking.RankingRun(), lambda _: None
        )
