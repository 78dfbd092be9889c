"""After whitening, a person's own pictures scatter alike in all directions, and strangers stand farther apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from firmware_config.errors import BadInput
from trainer import train
from trainer.config import Config
from trainer.data import Faces, Split
from trainer.loop.whitening import whitening
from trainer.measuring.metrics import equal_error_rate, pair_table


def _rows(people: int = 40, each: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """People differ a little in ten directions; everybody's pictures vary a lot in two of them."""
    random = np.random.default_rng(0)
    who = np.repeat(np.arange(people), each)
    loud = np.array([8.0, 8.0] + [0.3] * 8)
    rows = random.normal(0, 1, (people, 10))[who] + random.normal(0, 1, (len(who), 10)) * loud
    return torch.from_numpy(rows).float(), torch.from_numpy(who)


def test_scatter_within_people_is_even() -> None:
    rows, who = _rows()
    middle, matrix = whitening(rows, who, 10, shrink=1e-6)
    places = ((rows - middle) @ matrix.T).numpy()
    own = places - np.stack([places[who == person].mean(axis=0) for person in who])
    assert np.allclose(own.T @ own / len(own), np.eye(10), atol=0.01)


def test_strangers_are_told_apart_better() -> None:
    rows, who = _rows()
    middle, matrix = whitening(rows[:120], who[:120], 10, shrink=0.01)
    errors = []
    for places in (rows[120:], (rows[120:] - middle) @ matrix.T):
        table = pair_table(places.numpy(), who[120:].numpy())
        errors.append(equal_error_rate(table.genuine, table.impostor))
    assert errors[0] > 0.35
    assert errors[1] < 0.1


def test_whitening_of_strangers_alone_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="a person with two images"):
        whitening(torch.rand(5, 10), torch.arange(5), 3, shrink=0.1)
    with pytest.raises(BadInput, match="to 12 numbers"):
        whitening(torch.rand(20, 10), torch.arange(20) // 2, 12, shrink=0.1)


def test_run_of_a_whitened_network_is_its_start_when_the_rate_is_zero(
    grey_people: Faces, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = Config.model_validate(
        {
            "name": "white",
            "network": {"kind": "edgenet", "strides": [25], "outputs": 12, "unit": True},
            "data": {"source": "att"},
            "whiten": {"views": 2},
            "augment": {"landmarks": 0.0},
            "stage": [
                {
                    "epochs": 1,
                    "batches": 1,
                    "pixels": 100,
                    "learning_rate": [0.0, 0.0],
                    "sampler": "people",
                    "batch": 8,
                    "loss": [{"name": "supcon"}],
                }
            ],
        }
    )
    split = Split(np.arange(20), np.array([], dtype=np.int64), np.arange(20, 30))
    runs = [
        train.train(config, grey_people, split, tmp_path_factory.mktemp("run"), lambda _line: None) for _ in range(2)
    ]
    started = train.build_network(config)
    assert not torch.equal(started.state_dict()["linear.weight"], runs[0].network.state_dict()["linear.weight"])
    rows = [train.embed(config, run.result, grey_people.pixels) for run in runs]
    assert np.array_equal(*rows)
    assert np.allclose(np.linalg.norm(rows[0], axis=1), 1.0, atol=1e-5)
