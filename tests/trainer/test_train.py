"""Training learns, and a stopped run goes on exactly where it was."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from firmware_config.errors import BadInput, BadState
from tests.makers_training import SPLIT, quiet, small_config
from tests.trainer.images.test_style import dim_frames
from trainer import progress, terms, train
from trainer.config import Config
from trainer.data import Faces
from trainer.images.style import read_style
from trainer.loop.feed import Kitchen
from trainer.loop.pretrained import weights_bytes
from trainer.loop.run import Run, begin_network
from trainer.loop.trained import load_trained
from trainer.parts import Style


def stop_at(step: int, how: signal.Signals = signal.SIGINT) -> Callable[[str], None]:
    """Someone presses Ctrl-C, or the machine shuts down, when this step has been said."""

    def say(line: str) -> None:
        if line.startswith(f"step {step}/"):
            os.kill(os.getpid(), how)

    return say


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


def test_a_run_begins_with_another_run_s_weights_and_goes_on_without_them(six_people: Faces, tmp_path: Path) -> None:
    config = small_config()
    first = train.train(config, six_people, SPLIT, tmp_path / "first", quiet)
    weights = tmp_path / "first.pt"
    weights.write_bytes(weights_bytes(config, first.result))
    second = config.model_copy(update={"start": str(weights), "seed": 9})
    begun, inherited = begin_network(second)
    assert inherited == [terms.CELEBA]
    for own, kept in zip(begun.parameters(), first.result.parameters(), strict=True):
        assert torch.allclose(own, kept, atol=1e-3)  # half precision
    train.train(second, six_people, SPLIT, tmp_path / "second", quiet)
    weights.unlink()
    assert load_trained(tmp_path / "second").inherited == (terms.CELEBA,)
    assert train.train(second, six_people, SPLIT, tmp_path / "second", quiet).step == first.step
    with pytest.raises(BadInput, match="whose weights the run should start from"):
        train.train(second, six_people, SPLIT, tmp_path / "third", quiet)
    with pytest.raises(BadState, match="made from another network, start"):
        train.train(second.model_copy(update={"start": ""}), six_people, SPLIT, tmp_path / "second", quiet)


def test_a_gradient_is_cut_to_the_length_that_is_asked_for_or_not_at_all(six_people: Faces, tmp_path: Path) -> None:
    def moved(length: float) -> float:
        config = small_config(optimiser="sgd", largest_gradient=length)
        run = train.train(config, six_people, SPLIT, tmp_path / str(length), quiet)
        pairs = zip(run.network.parameters(), train.build_network(config).parameters(), strict=True)
        return sum(float((after - before).detach().abs().sum()) for after, before in pairs)

    assert moved(1e-9) < 1e-5
    assert moved(0.0) > 1e-2


def test_ctrl_c_is_as_before_when_the_training_is_over(six_people: Faces, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    train.train(small_config(), six_people, SPLIT, tmp_path, quiet)
    assert signal.getsignal(signal.SIGINT) is before


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


def way(before: nn.Module, after: nn.Module) -> torch.Tensor:
    """From these weights to those."""
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    return torch.cat([(b - a).detach().flatten() for a, b in pairs])


def test_half_precision_learns_too(six_people: Faces, tmp_path: Path) -> None:
    """The rate is small, so that what half precision rounds, each processor in its own way, does not grow from step
    to step: two runs on different weights compare nothing."""
    config = small_config()
    config = config.model_copy(update={"stage": (config.stage[0].model_copy(update={"learning_rate": (1e-5, 1e-5)}),)})
    whole = train.train(config, six_people, SPLIT, tmp_path / "whole", quiet)
    halved = config.model_copy(update={"precision": "bfloat16"})
    half = train.train(halved, six_people, SPLIT, tmp_path / "half", quiet)
    a, b = ([entry["loss"] for entry in run.history] for run in (whole, half))
    assert a != b
    assert a == pytest.approx(b, rel=0.1)
    before = train.build_network(config)
    assert torch.cosine_similarity(way(before, whole.network), way(before, half.network), dim=0) > 0.5
    assert all(value.dtype == torch.float32 for value in half.network.parameters())


def test_several_loaders_make_the_same_batches(tiny_door: Config, shard_folder: Path, tmp_path: Path) -> None:
    faces, split = train.load_faces(tiny_door, shard_folder)
    one = train.train(tiny_door, faces, split, tmp_path / "one", quiet)
    three = train.train(tiny_door.model_copy(update={"loaders": 3}), faces, split, tmp_path / "three", quiet)
    assert one.history == three.history


def test_faces_train_in_a_camera_s_style(six_people: Faces, tmp_path: Path) -> None:
    dim_frames(tmp_path)
    style = Style(frames=str(tmp_path), share=1.0)
    config = small_config(style=style.model_dump())
    kitchen = Kitchen(config, config.stage[0], six_people, read_style(style, 128, 3))
    plain = Kitchen(config, config.stage[0], six_people)
    crops = [(kitchen.crop(1, place, place), plain.crop(1, place, place)) for place in range(8)]
    assert all(dim.mean() < bright.mean() - 20 for dim, bright in crops)
    styled, usual = (
        train.train(each, six_people, SPLIT, tmp_path / each.name, quiet)
        for each in (config, small_config(name="plain"))
    )
    assert styled.history[0]["loss"] != usual.history[0]["loss"]


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
