"""One-shot classification by Lake's runs and by galleries, with the score that a run was trained for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from firmware_config.errors import BadInput
from tests.trainer.handwritten import write_mnist, write_omniglot
from trainer import train
from trainer.cli import main
from trainer.config import Config
from trainer.images.sources import load_faces
from trainer.measuring.judge import load_judge, looks
from trainer.one_shot import drawn_runs, gallery_accuracy


def _handwriting(source: str, loss: str, **network: object) -> Config:
    return Config.model_validate(
        {
            "name": f"{source}-tiny",
            "threads": 1,
            "network": {"kind": "edgenet", "strides": [8], "outputs": 16, **network},
            "data": {"source": source, "composed": 4, "digits": 3},
            "augment": {"mirror": False, "landmarks": 0.0, "noise": 0.0},
            "stage": [
                {
                    "epochs": 1,
                    "batches": 3,
                    "pixels": 32,
                    "learning_rate": [1e-3, 1e-4],
                    "sampler": "people",
                    "batch": 12,
                    "images_each": 3,
                    "loss": [{"name": loss}],
                }
            ],
        }
    )


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Omniglot and MNIST in miniature."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_omniglot(folder)
    write_mnist(folder / "mnist.tgz")
    monkeypatch.setattr("trainer.images.mnist.fetch", lambda _name, _cache: folder / "mnist.tgz")
    return folder


def _run(config: Config, data: Path) -> Path:
    faces, split = load_faces(config, data)
    train.train(config, faces, split, data / "run", lambda _line: None)
    return data / "run"


@pytest.mark.parametrize(
    ("source", "loss"), [("omniglot", "supcon"), ("mnist", "pair-logistic"), ("mnist", "contrastive")]
)
def test_run_is_judged_by_lakes_runs(data: Path, source: str, loss: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = _run(_handwriting(source, loss, unit=loss == "supcon"), data)
    capsys.readouterr()
    assert main(["one-shot", str(run), "--data", str(data), "--views", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["lake_runs"]["each"]) == 20
    assert result["lake_runs"]["ways"] == 20
    assert result["lake_runs"]["low"] <= result["lake_runs"]["accuracy"] <= result["lake_runs"]["high"]
    assert result["lake_runs"]["accuracy"] > 0.1  # by chance 0.05; edges alone tell rings with bars apart
    assert ("drawn_runs" in result) == (source == "mnist")
    assert main(["one-shot", str(run), "--data", str(data)]) == 0
    assert "in 20 of Lake's runs" in capsys.readouterr().out


def test_logistic_unit_is_the_score_where_there_is_one(data: Path) -> None:
    judge = load_judge(_run(_handwriting("mnist", "pair-logistic", unit=False), data))
    assert judge.unit is not None
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1), dtype=np.uint8)
    rows = judge.rows(images)
    found = judge.unlike(rows, rows)
    weight, bias = (value.detach().numpy() for value in judge.unit.parameters())
    for i in range(3):
        for j in range(3):
            odds = float(weight[0] @ np.abs(rows[0, i] - rows[0, j]) + bias[0])
            assert found[i, j] == pytest.approx(np.log1p(np.exp(odds)), rel=1e-4)


def test_likest_looks_count(data: Path) -> None:
    run = _run(_handwriting("omniglot", "supcon", unit=True), data)
    judge = load_judge(run, views=3)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
    rows = judge.rows(images)
    assert rows.shape == (3, 2, 16)
    pairs = sorted(float(np.linalg.norm(a - b)) for a in rows[:, 0] for b in rows[:, 1])
    assert judge.unlike(rows, rows)[0, 1] == pytest.approx(np.mean(pairs[:3]), rel=1e-4)


def test_looks_are_always_the_same_and_faces_are_mirrored() -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 24, 24, 1), dtype=np.uint8)
    first, again = looks(images, 5, faces=True), looks(images, 5, faces=True)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] == images).all()
    assert (first[1] == images[:, :, ::-1]).all()
    assert not (looks(images, 2, faces=False)[1] == images[:, :, ::-1]).all()


def test_galleries_against_counting_by_hand() -> None:
    random = np.random.default_rng(2)
    identities = np.array([0, 0, 0, 1, 1, 2, 2])
    places = identities * 1.5 + random.normal(0, 0.6, 7)
    unlike = np.abs(places[:, None] - places[None]).astype(np.float32)
    found = gallery_accuracy(unlike, identities, galleries=50, seed=4)
    chance = np.random.default_rng(4)
    for share in found:
        examples = [int(chance.choice(np.flatnonzero(identities == person))) for person in range(3)]
        tests = [i for i in range(7) if i not in examples]
        right = sum(identities[min(examples, key=lambda e: unlike[i, e])] == identities[i] for i in tests)
        assert share == pytest.approx(right / len(tests))


def test_one_who_calls_all_alike_is_never_right() -> None:
    identities = np.repeat(np.arange(4), 3)
    assert gallery_accuracy(np.zeros((12, 12), dtype=np.float32), identities, galleries=3).max() == 0.0
    with pytest.raises(BadInput, match="needs two people"):
        gallery_accuracy(np.zeros((3, 3), dtype=np.float32), np.zeros(3, dtype=np.int64))


def test_drawn_runs_are_of_one_alphabet_and_two_hands(data: Path) -> None:
    runs = drawn_runs(data, ("Twos",), episodes=3)
    assert len(runs) == 3
    assert runs[0].examples.shape == (4, 105, 105)  # the alphabet has no more
    for run in runs:
        assert sorted(run.answers) == [0, 1, 2, 3]
        assert not any((test == example).all() for test in run.tests for example in run.examples)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(["one-shot", "nowhere"], "Train first"), (["one-shot", "nowhere", "--views", "0"], "views")],
)
def test_what_cannot_be_judged_is_a_sentence(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert part in capsys.readouterr().err
