"""The student learns what the teachers say, and a stopped run goes on exactly where it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from firmware_config.errors import BadInput, BadState
from tests.makers_teacher import tiny_teacher
from trainer import distill, train
from trainer.config import Config
from trainer.encoders import FusedFaceNet
from trainer.loop.pretrained import begin_from, weights_bytes
from trainer.loop.run import begin_network, build_network
from trainer.loop.trained import load_trained
from trainer.teaching import engines
from trainer.teaching.kept import KeptLessons
from trainer.teaching.lessons import Aim
from trainer.terms import sources


def config_of(folder: Path, **plan: object) -> Config:
    """A distillation in miniature: two teachers of 90 and 70 numbers."""
    first = tiny_teacher(folder / "first.onnx", rows=90)
    second = tiny_teacher(folder / "second.onnx", rows=70, seed=2).model_copy(update={"weight": 0.5})
    return Config.model_validate(
        {
            "name": "tiny",
            "seed": 5,
            "threads": 1,
            "network": {"kind": "fusedfacenet", "widths": [16, 16, 32, 64], "blocks": [0, 0, 1, 0]},
            "data": {"source": "shards", "unnamed_images": 4, "calibration_people": 4, "validation_people": 2},
            "teacher": [first.model_dump(), second.model_dump()],
            "distill": {"crops": 32, "batch": 8, "workers": 1, "plain": 1, "mixes": 1, **plan},
        }
    )


@pytest.fixture(autouse=True)
def fewer_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty crops have no 128 independent numbers: the tiny teachers' rows are aimed by a fixed matrix instead."""
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(160, 128)))[0].astype(np.float32)

    def aim(rows: np.ndarray, whiten: float) -> Aim:
        return Aim(np.zeros(160, np.float32), matrix)

    monkeypatch.setattr("trainer.teaching.kept.fit_aim", aim)
    monkeypatch.setattr("trainer.teaching.live.fit_aim", aim)


def quiet(_line: str) -> None:
    return


def losses(school: distill.School) -> list[float]:
    return [entry["loss"] for entry in school.workers[0].history]


@pytest.mark.parametrize("lessons", ["kept", "live"])
def test_the_student_comes_nearer_to_its_teachers(shard_folder: Path, tmp_path: Path, lessons: str) -> None:
    config = config_of(tmp_path, lessons=lessons, crops=320)
    faces, split = train.load_faces(config, shard_folder)
    school = distill.distill(config, faces, split, tmp_path / "run", quiet)
    assert np.mean(losses(school)[-5:]) < 0.85 * np.mean(losses(school)[:3])
    assert {"eer", "tar_1e-2"} <= school.workers[0].history[-1].keys()
    trained = load_trained(tmp_path / "run")
    assert trained.step == 40
    assert [name for name in sources(config) if "first" in name and "made up for a test" in name]


def test_a_stopped_run_ends_like_one_that_was_not(
    shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path)
    faces, split = train.load_faces(config, shard_folder)
    whole = distill.distill(config, faces, split, tmp_path / "whole", quiet)
    real = distill.regression
    seen: list[int] = []

    def stopped(*arguments: object) -> torch.Tensor:
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(distill, "regression", stopped)
    with pytest.raises(KeyboardInterrupt):
        distill.distill(config, faces, split, tmp_path / "stopped", quiet)
    monkeypatch.setattr(distill, "regression", real)
    assert load_trained(tmp_path / "stopped").step == 2
    resumed = distill.distill(config, faces, split, tmp_path / "stopped", quiet)
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-4)


def test_a_service_manager_may_stop_it_too(shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(tmp_path, crops=400)
    faces, split = train.load_faces(config, shard_folder)
    real = distill.regression
    seen: list[int] = []

    def signalled(*arguments: object) -> torch.Tensor:
        seen.append(1)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(distill, "regression", signalled)
    with pytest.raises(KeyboardInterrupt):
        distill.distill(config, faces, split, tmp_path / "run", quiet)
    assert 3 <= load_trained(tmp_path / "run").step < 50


def test_a_stopped_writing_of_lessons_asks_only_for_the_rest(
    shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path)
    faces, split = train.load_faces(config, shard_folder)
    training = faces.take(split.train)
    monkeypatch.setattr("trainer.teaching.kept.BATCH", 8)
    monkeypatch.setattr("trainer.teaching.kept.SAID_EVERY", 1)
    looked: list[int] = []
    real = distill.load_teacher

    def counting(stop_at: int) -> Callable[..., object]:
        def load(*arguments: object) -> object:
            teacher = real(*arguments)  # type: ignore[arg-type]
            say = teacher.say

            def counted(crops: np.ndarray) -> object:
                looked.append(len(crops))
                if len(looked) == stop_at:
                    raise KeyboardInterrupt
                return say(crops)

            monkeypatch.setattr(teacher, "say", counted)
            return teacher

        return load

    def write(folder: str) -> distill.Lessons:
        return distill.open_lessons(config, config.distill, training, tmp_path / folder, quiet, None)  # type: ignore[arg-type]

    whole = write("whole")
    monkeypatch.setattr(distill, "load_teacher", counting(stop_at=9))
    with pytest.raises(KeyboardInterrupt):
        write("stopped")
    looked.clear()
    monkeypatch.setattr(distill, "load_teacher", counting(stop_at=-1))
    resumed = write("stopped")
    assert sum(looked) < 2 * 3 * len(training)
    rows = np.arange(len(training))
    for look in (0, 1):
        one, other = (lessons.read(look, rows, np.random.default_rng(4)) for lessons in (whole, resumed))
        assert torch.equal(one.images, other.images)
        assert np.allclose(one.targets, other.targets, atol=1e-6)
    monkeypatch.setattr(distill, "load_teacher", counting(stop_at=1))
    write("stopped")  # all there: nobody is asked


def test_lessons_of_another_teacher_are_not_taken_for_ours(shard_folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path)
    faces, split = train.load_faces(config, shard_folder)
    distill.distill(config, faces, split, tmp_path / "run", quiet)
    other = config.model_copy(update={"teacher": config.teacher[::-1]})
    with pytest.raises(BadState, match="Choose another --out"):
        distill.distill(other, faces, split, tmp_path / "run", quiet)


def test_workers_meet_in_the_middle(shard_folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, workers=2, batch=4, crops=64, sync=2)
    faces, split = train.load_faces(config, shard_folder)
    school = distill.distill(config, faces, split, tmp_path / "run", quiet)
    assert [worker.step for worker in school.workers] == [8, 8]
    first, second = (next(iter(worker.student.parameters())).detach() for worker in school.workers)
    middle = next(iter(school.result.parameters())).detach()
    assert float((first - middle).norm()) < float(middle.norm())
    assert not torch.equal(first, second)


def test_a_run_grows_from_a_smaller_one_without_a_change(shard_folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path)
    faces, split = train.load_faces(config, shard_folder)
    school = distill.distill(config, faces, split, tmp_path / "run", quiet)
    larger = FusedFaceNet(config.network.widths, (1, 0, 3, 2))
    begin_from(larger, tmp_path / "run")
    images = torch.rand(2, 3, 112, 112)
    with torch.inference_mode():
        before, after = school.result.eval()(images), larger.eval()(images)
    assert torch.allclose(before, after, atol=1e-5)
    with pytest.raises(BadInput, match="the run should start from"):
        begin_from(larger, tmp_path / "nowhere")


def test_a_file_of_weights_begins_another_run(shard_folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path)
    network = build_network(config)
    (tmp_path / "weights.pt").write_bytes(weights_bytes(config, network))
    begun, inherited = begin_network(config.model_copy(update={"seed": 6, "start": str(tmp_path / "weights.pt")}))
    for own, kept in zip(begun.parameters(), network.parameters(), strict=True):
        assert torch.allclose(own, kept, atol=1e-3)
    assert inherited == sources(config)
    (tmp_path / "other.pt").write_bytes(b"no weights")
    with pytest.raises(BadState, match="is not a checkpoint"):
        begin_from(network, tmp_path / "other.pt")


def test_a_student_that_has_learnt_is_taught_where_it_is(shard_folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, crops=160)
    faces, split = train.load_faces(config, shard_folder)
    school = distill.distill(config, faces, split, tmp_path / "run", quiet)
    training = faces.take(split.train)

    def asked(begun: torch.nn.Module | None) -> distill.Lessons:
        assert config.distill is not None
        return distill.open_lessons(config, config.distill, training, tmp_path / "run", quiet, None, begun)

    # As another machine's principal components, or those of other crops: the same distances, turned.
    turn = np.linalg.qr(np.random.default_rng(8).normal(size=(128, 128)))[0].astype(np.float32)
    school.result.head[2].weight.data = torch.einsum(
        "oi,ichw->ochw", torch.from_numpy(turn), school.result.head[2].weight
    )
    school.result.head[3] = torch.nn.Identity()
    rows, before = asked(None).sample()
    _, after = asked(school.result).sample()
    said = distill.embed(config, school.result, training.centre()[rows])
    assert after @ after.T == pytest.approx(before @ before.T, abs=1e-4)
    assert np.square(after - said).sum(1).mean() < 0.7 * np.square(before - said).sum(1).mean()


def test_a_blend_is_of_two_crops_and_lies_between_what_is_said_of_them(shard_folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path)
    faces, split = train.load_faces(config, shard_folder)
    training = faces.take(split.train)
    kept = KeptLessons(config, training, tmp_path / "lessons")
    blend, plain = kept._blend(0, np.arange(len(training))), training.pixels
    other = np.random.default_rng([config.seed, 0]).permutation(len(training))
    assert np.array_equal(blend, kept._blend(0, np.arange(len(training))))
    assert np.all(blend.astype(int) >= np.minimum(plain, plain[other]).astype(int) - 1)
    assert np.all(blend.astype(int) <= np.maximum(plain, plain[other]).astype(int) + 1)
    own, others = (np.abs(blend.astype(float) - p).mean() for p in (plain, plain[other]))
    assert own < others  # never more than half of the other


@pytest.mark.skipif(not engines.has_bfloat16(), reason="needs a processor with bfloat16 tiles (AMX)")
def test_a_student_learns_in_bfloat16_too(shard_folder: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, crops=320).model_copy(update={"precision": "bfloat16"})
    faces, split = train.load_faces(config, shard_folder)
    school = distill.distill(config, faces, split, tmp_path / "run", quiet)
    assert np.mean(losses(school)[-5:]) < 0.85 * np.mean(losses(school)[:3])


def test_stages_and_teachers_do_not_mix(shard_folder: Path, tmp_path: Path, tiny_door: Config) -> None:
    config = config_of(tmp_path)
    faces, split = train.load_faces(config, shard_folder)
    with pytest.raises(BadInput, match="latchkey-trainer distill"):
        train.train(config, faces, split, tmp_path / "run", quiet)
    with pytest.raises(BadInput, match="latchkey-trainer train"):
        distill.distill(tiny_door, faces, split, tmp_path / "run", quiet)


def test_teachers_teach_a_door_s_network(tmp_path: Path) -> None:
    values = config_of(tmp_path).model_dump(mode="json") | {"network": {"kind": "tutorial"}}
    with pytest.raises(ValueError, match="teachers teach a door's network"):
        Config.model_validate(values)
