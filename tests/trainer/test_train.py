"""Training learns, and a stopped run goes on exactly where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from firmware_config.errors import BadInput, BadState
from trainer import config as configuration
from trainer import train
from trainer.config import Config
from trainer.data import Faces, Split


def _quiet(_line: str) -> None:
    return


def _stop_at(step: int, total: int) -> Callable[[str], None]:
    def say(line: str) -> None:
        if line.startswith(f"step {step}/{total}"):
            raise KeyboardInterrupt

    return say


def test_a_stopped_run_ends_like_one_that_was_not(
    tiny_door: Config, shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "STEPS_BETWEEN_LINES", 1)
    faces, split = train.load_faces(tiny_door, shard_folder)
    whole = train.train(tiny_door, faces, split, tmp_path / "whole", _quiet)
    for stop in (2, whole.step - 1):  # within the first stage and within the second
        with pytest.raises(KeyboardInterrupt):
            train.train(tiny_door, faces, split, tmp_path / "stopped", _stop_at(stop, whole.step))
    resumed = train.train(tiny_door, faces, split, tmp_path / "stopped", _quiet)
    assert [entry["loss"] for entry in resumed.history] == pytest.approx(
        [entry["loss"] for entry in whole.history], rel=1e-5
    )
    for key, value in whole.network.state_dict().items():
        assert torch.allclose(value.float(), resumed.network.state_dict()[key].float(), atol=1e-5), key


def test_a_run_of_another_network_is_not_gone_on_with(tiny_door: Config, shard_folder: Path, tmp_path: Path) -> None:
    faces, split = train.load_faces(tiny_door, shard_folder)
    run = train.build_run(tiny_door, faces.take(split.train))
    train.save(tiny_door, faces.take(split.train), run, tmp_path)
    other = tiny_door.model_copy(update={"seed": 6})
    with pytest.raises(BadState, match="Choose another --out folder"):
        train.train(other, faces, split, tmp_path, _quiet)


def test_unnamed_images_train_and_nobody_trained_on_calibrates(tiny_door: Config, shard_folder: Path) -> None:
    faces, split = train.load_faces(tiny_door, shard_folder)
    assert sum(key.startswith("ff-") for key in faces.take(split.train).keys) == 4
    trained, calibrated = (set(faces.identities[rows]) for rows in (split.train, split.calibration))
    assert not trained & calibrated


@pytest.mark.slow
def test_the_tutorial_network_learns_pairs(grey_people: Faces, tmp_path: Path) -> None:
    tutorial = Config.model_validate(
        {
            "name": "grey",
            "threads": 1,
            "optimiser": "adam",
            "network": {"kind": "tutorial"},
            "data": {"source": "att", "calibration_people": 0, "validation_people": 2},
            "stage": [
                {
                    "epochs": 40,
                    "pixels": 100,
                    "learning_rate": [5e-4, 5e-4],
                    "sampler": "pairs",
                    "batch": 16,
                    "loss": [{"name": "contrastive"}],
                }
            ],
        }
    )
    split = Split(np.arange(20), np.arange(0), np.arange(20, 30))
    run = train.train(tutorial, grey_people, split, tmp_path, _quiet)
    losses = [entry["loss"] for entry in run.history]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:10])
    assert {"eer", "tar_1e-2"} <= run.history[-1].keys()


@pytest.mark.parametrize("name", ["door", "tutorial-att"])
def test_the_configurations_that_come_along_are_valid(name: str) -> None:
    path = Path(train.__file__).parent / "configs" / f"{name}.toml"
    assert configuration.load(path).name == name


def test_all_that_is_wrong_in_a_configuration_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('name = "UPPER"\nsped = 3\n[network]\nkind = "resnet"\n[data]\nsource = "att"\n')
    with pytest.raises(BadInput) as caught:
        configuration.load(path)
    for part in ("name", "sped", "network.kind"):
        assert part in str(caught.value)


def test_a_run_has_stages_or_teachers(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    path.write_text('name = "none"\n[network]\nkind = "fusedfacenet"\n[data]\nsource = "shards"\n')
    with pytest.raises(BadInput, match="stages, or \\[distill\\] and teachers"):
        configuration.load(path)
