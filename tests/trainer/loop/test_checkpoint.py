"""A run on disk: whole or not there, and gone on with by itself only."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from firmware_config.errors import BadState, DiskFault
from tests.makers_training import SPLIT, quiet, small_config
from trainer import train
from trainer.config import Config
from trainer.data import Faces
from trainer.loop import checkpoint
from trainer.loop.pretrained import CHECKPOINT
from trainer.loop.run import Run, build_run
from trainer.loop.trained import load_trained


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 6},
        {"optimiser": "sgd"},
        {"average": 0.9},
        {"stage": [{"epochs": 1, "pixels": 32, "learning_rate": [1e-3, 1e-3], "loss": [{"name": "arcface"}]}]},
        {"network": {"kind": "mobilefacenet", "width": 0.25, "stem": 4}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_run_of_another_configuration_is_not_gone_on_with(
    change: dict[str, object], six_people: Faces, tmp_path: Path
) -> None:
    training = six_people.take(SPLIT.train)
    checkpoint.save(small_config(), training, build_run(small_config(), training), tmp_path)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(BadState, match="Choose another --out folder"):
        train.train(small_config(**change), six_people, SPLIT, tmp_path, quiet)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


@pytest.mark.parametrize("length", [0, 1000, -1])
def test_a_checkpoint_that_is_cut_short_is_a_sentence(length: int, six_people: Faces, tmp_path: Path) -> None:
    training = six_people.take(SPLIT.train)
    checkpoint.save(small_config(), training, build_run(small_config(), training), tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BadState, match="not a whole checkpoint"):
        train.train(small_config(), six_people, SPLIT, tmp_path, quiet)


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """No file grows past so many bytes: writing on fails as on a full disk, with another number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_checkpoint_whole(tiny_door: Config, shard_folder: Path, tmp_path: Path) -> None:
    faces, split = train.load_faces(tiny_door, shard_folder)
    training = faces.take(split.train)
    run = build_run(tiny_door, training)
    checkpoint.save(tiny_door, training, run, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run.step = 1
    with full_disk(10_000), pytest.raises(DiskFault, match=r"step 1 cannot be written .* Make room"):
        checkpoint.save(tiny_door, training, run, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    resumed = checkpoint.resume(tiny_door, training, tmp_path)
    assert resumed is not None
    assert resumed.step == 0


def test_a_disk_that_is_full_for_a_while_does_not_end_the_training(
    tiny_door: Config, shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    really = checkpoint.save

    def save(config: Config, training: Faces, run: Run, folder: Path) -> None:
        tries.append(run.step)
        with full_disk(10_000 if len(tries) == 1 else resource.RLIM_INFINITY):
            really(config, training, run, folder)

    monkeypatch.setattr(train, "save", save)
    said: list[str] = []
    config = tiny_door.model_copy(update={"checkpoint_minutes": 1e-9})
    faces, split = train.load_faces(config, shard_folder)
    run = train.train(config, faces, split, tmp_path, said.append)
    assert [line for line in said if "cannot be written" in line]
    assert tries[0] < run.step == load_trained(tmp_path).step


def test_the_checkpoint_says_what_it_came_from(tiny_door: Config, shard_folder: Path, tmp_path: Path) -> None:
    faces, split = train.load_faces(tiny_door, shard_folder)
    train.train(tiny_door, faces, split, tmp_path, quiet)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert Config.model_validate(state["config"]) == tiny_door
    assert state["images"] == faces.take(split.train).fingerprint()
    assert state["code"].startswith(checkpoint.version("latchkey"))
    assert load_trained(tmp_path).code == state["code"]


@pytest.mark.parametrize("text", [b"", b"no checkpoint", b"PK\x03\x04 cut short"])
def test_whoever_measures_a_run_hears_that_its_checkpoint_is_not_whole(tmp_path: Path, text: bytes) -> None:
    (tmp_path / CHECKPOINT).write_bytes(text)
    with pytest.raises(BadState, match="is not a whole checkpoint") as refused:
        load_trained(tmp_path)
    assert "weights_only" not in str(refused.value), "torch's advice is to run what is in the file"


def test_a_run_of_before_its_beginnings_were_noted_goes_on(six_people: Faces, tmp_path: Path) -> None:
    config = small_config()
    done = train.train(config, six_people, SPLIT, tmp_path, quiet)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    del state["inherited"]
    torch.save(state, tmp_path / CHECKPOINT)
    again = train.train(config, six_people, SPLIT, tmp_path, quiet)
    assert (again.step, again.inherited) == (done.step, [])


def test_the_weight_decay_is_what_the_file_says_now(six_people: Faces, tmp_path: Path) -> None:
    training = six_people.take(SPLIT.train)
    checkpoint.save(small_config(), training, build_run(small_config(), training), tmp_path)
    went_on = checkpoint.resume(small_config(weight_decay=0.25), training, tmp_path)
    assert went_on is not None
    assert [group["weight_decay"] for group in went_on.optimiser.param_groups] == [0.25, 0.0]
