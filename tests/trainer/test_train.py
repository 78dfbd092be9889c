"""Training learns, and a stopped run goes on exactly where it was."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from firmware_config.errors import BadInput, BadState, DiskFault
from trainer import checkpoint, progress, train
from trainer import config as configuration
from trainer.bundling import load_trained
from trainer.config import Config
from trainer.data import Faces, Split
from trainer.run import Run, build_run


def quiet(_line: str) -> None:
    return


def stop_at(step: int, how: signal.Signals = signal.SIGINT) -> Callable[[str], None]:
    """Someone presses Ctrl-C, or the machine shuts down, when this step has been said."""

    def say(line: str) -> None:
        if line.startswith(f"step {step}/"):
            os.kill(os.getpid(), how)

    return say


def small_config(**more: object) -> Config:
    """The smallest MobileFaceNet on pairs of people, a handful of steps of 32 pixels."""
    stage = {
        "epochs": 3,
        "pixels": 32,
        "learning_rate": [1e-3, 1e-3],
        "sampler": "pairs",
        "batch": 4,
        "batches": 2,
        "loss": [{"name": "contrastive", "margin": 1.0}],
    }
    return Config.model_validate(
        {
            "name": "small",
            "threads": 1,
            "optimiser": "adam",
            "network": {"kind": "mobilefacenet", "width": 0.125, "stem": 4},
            "data": {"source": "shards"},
            "stage": [stage],
            **more,
        }
    )


@pytest.fixture
def six_people() -> Faces:
    """Six people with five crops each."""
    random = np.random.default_rng(3)
    base = random.integers(30, 226, (6, 1, 16, 16, 3))
    crops = np.clip(base + random.integers(-20, 21, (6, 5, 16, 16, 3)), 0, 255).astype(np.uint8).reshape(30, 16, 16, 3)
    pixels = crops.repeat(8, axis=1).repeat(8, axis=2)
    return Faces(pixels, np.repeat(np.arange(6), 5), tuple(f"six-{i:02d}" for i in range(30)))


SPLIT = Split(np.arange(20), np.arange(0), np.arange(20, 30))


def same_weights(first: Run, second: Run) -> bool:
    a, b = first.result.state_dict(), second.result.state_dict()
    return all(torch.equal(value, b[key]) for key, value in a.items())


def test_a_run_interrupted_at_a_random_step_ends_in_identical_weights(
    tiny_door: Config, shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optimiser, chance, sampler and average all go on where they were; the step is another one in every test run."""
    monkeypatch.setattr(progress, "STEPS_BETWEEN_LINES", 1)
    config = tiny_door.model_copy(update={"average": 0.9})
    faces, split = train.load_faces(config, shard_folder)
    whole = train.train(config, faces, split, tmp_path / "whole", quiet)
    stops = sorted(random.sample(range(1, whole.step), 2))
    for stop, how in zip(stops, (signal.SIGINT, signal.SIGTERM), strict=True):
        with pytest.raises(KeyboardInterrupt):
            train.train(config, faces, split, tmp_path / "stopped", stop_at(stop, how))
        assert load_trained(tmp_path / "stopped").step == stop
    resumed = train.train(config, faces, split, tmp_path / "stopped", quiet)
    assert resumed.history == whole.history, f"stopped at {stops}"
    assert same_weights(resumed, whole), f"stopped at {stops}"
    assert not torch.equal(*(next(network.parameters()) for network in (resumed.network, resumed.result)))


def test_ctrl_c_is_as_before_when_the_training_is_over(six_people: Faces, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    train.train(small_config(), six_people, SPLIT, tmp_path, quiet)
    assert signal.getsignal(signal.SIGINT) is before


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


def test_a_loss_that_is_no_number_ends_in_a_sentence(six_people: Faces, tmp_path: Path) -> None:
    whole = small_config()
    stages = (whole.stage[0].model_copy(update={"learning_rate": (1e30, 1e30)}),)
    with pytest.raises(BadInput, match="Lower learning_rate"):
        train.train(whole.model_copy(update={"stage": stages}), six_people, SPLIT, tmp_path, quiet)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_it_stops_early_and_the_best_epoch_is_the_result(
    six_people: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.4, 0.2, 0.3, 0.25])

    def validate(*_args: object) -> dict[str, float]:
        return {"eer": next(scores), "tar_1e-2": 0.0, "tar_1e-3": 0.0}

    monkeypatch.setattr(train, "validate", validate)
    config = small_config(early_stop={"score": "eer", "patience": 2})
    config = config.model_copy(update={"stage": (config.stage[0].model_copy(update={"epochs": 9}),)})
    run = train.train(config, six_people, SPLIT, tmp_path / "early", quiet)
    assert run.step == 4 * 2, "two epochs after the best one, and no more"
    assert run.best is not None
    assert run.best.epoch == 2
    two = config.model_copy(
        update={"early_stop": None, "stage": (config.stage[0].model_copy(update={"epochs": 2}),), "validate_every": 9}
    )
    scores = iter([0.2])
    after_two = train.train(two, six_people, SPLIT, tmp_path / "two", quiet)
    assert same_weights(run, after_two)
    again = train.train(config, six_people, SPLIT, tmp_path / "early", quiet)
    assert again.step == run.step, "it stays stopped"
    kept = load_trained(tmp_path / "early").network.state_dict()
    assert all(torch.equal(value, kept[key]) for key, value in run.best.weights.items())


def test_half_precision_learns_too(six_people: Faces, tmp_path: Path) -> None:
    whole = train.train(small_config(), six_people, SPLIT, tmp_path / "whole", quiet)
    half = train.train(small_config(precision="bfloat16"), six_people, SPLIT, tmp_path / "half", quiet)
    a, b = ([entry["loss"] for entry in run.history] for run in (whole, half))
    assert a != b
    assert a == pytest.approx(b, rel=0.2)
    assert all(value.dtype == torch.float32 for value in half.network.parameters())


def test_several_loaders_make_the_same_batches(tiny_door: Config, shard_folder: Path, tmp_path: Path) -> None:
    faces, split = train.load_faces(tiny_door, shard_folder)
    one = train.train(tiny_door, faces, split, tmp_path / "one", quiet)
    three = train.train(tiny_door.model_copy(update={"loaders": 3}), faces, split, tmp_path / "three", quiet)
    assert one.history == three.history


def test_tensorboard_has_what_the_log_has(six_people: Faces, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train.train(small_config(), six_people, SPLIT, tmp_path, quiet, board=tmp_path / "board")
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([entry["loss"] for entry in run.history])
    assert [event.step for event in events.Scalars("rate")] == list(range(1, run.step + 1))
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event.value for event in events.Scalars("validation/eer")] == pytest.approx(
        [e["eer"] for e in logged if "eer" in e]
    )


def test_unnamed_images_train_and_nobody_trained_on_calibrates(tiny_door: Config, shard_folder: Path) -> None:
    faces, split = train.load_faces(tiny_door, shard_folder)
    assert sum(key.startswith("ff-") for key in faces.take(split.train).keys) == 4
    trained, calibrated = (set(faces.identities[rows]) for rows in (split.train, split.calibration))
    assert not trained & calibrated


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["contrastive", "pair-logistic"])
def test_the_tutorial_network_learns_pairs(loss: str, grey_people: Faces, tmp_path: Path) -> None:
    stage = {"epochs": 40, "pixels": 100, "learning_rate": [5e-4, 5e-4], "sampler": "pairs", "batch": 16, "batches": 1}
    config = small_config(network={"kind": "tutorial"}, stage=[{**stage, "loss": [{"name": loss}]}], validate_every=40)
    run = train.train(config, grey_people, SPLIT, tmp_path, quiet)
    losses = [entry["loss"] for entry in run.history]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:10])
    assert {"eer", "tar_1e-2"} <= run.history[-1].keys()


@pytest.mark.parametrize("path", sorted((Path(train.__file__).parent / "configs").glob("*.toml")), ids=lambda p: p.stem)
def test_the_configurations_that_come_along_are_valid(path: Path) -> None:
    assert configuration.load(path).name == path.stem


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
