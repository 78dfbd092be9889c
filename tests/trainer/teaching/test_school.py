"""A stopped run of teachers is gone on with by itself only, and what was saved stays whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware_config.errors import BadInput, BadState, DiskFault
from tests.makers_teacher import tiny_teacher
from tests.makers_training import quiet
from trainer import distill, train
from trainer.config import Config
from trainer.loop import checkpoint
from trainer.loop.pretrained import CHECKPOINT, weights_bytes
from trainer.loop.run import build_network
from trainer.loop.trained import load_trained
from trainer.teaching.lessons import Aim
from trainer.teaching.school import School
from trainer.terms import sources


def config_of(folder: Path, **plan: object) -> Config:
    """One teacher, one worker, four steps."""
    teacher = tiny_teacher(folder / "teacher.onnx", rows=160)
    return Config.model_validate(
        {
            "name": "tiny",
            "seed": 5,
            "threads": 1,
            "network": {"kind": "fusedfacenet", "widths": [16, 16, 32, 64], "blocks": [0, 0, 1, 0]},
            "data": {"source": "shards", "calibration_people": 4, "validation_people": 0},
            "teacher": [teacher.model_dump()],
            "distill": {"crops": 32, "batch": 8, "workers": 1, "plain": 1, "mixes": 0, **plan},
        }
    )


@pytest.fixture(scope="module", autouse=True)
def _fewer_numbers() -> Iterator[None]:
    """Forty crops have no 128 independent numbers: the tiny teacher's rows are aimed by a fixed matrix instead."""
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(160, 128)))[0].astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.teaching.kept.fit_aim", lambda rows, whiten: Aim(np.zeros(160, np.float32), matrix))
        yield


@pytest.fixture(scope="module")
def whole(shard_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """A run that has ended, beside the weights of other images that it began with."""
    folder = tmp_path_factory.mktemp("whole")
    config = config_of(folder)
    other = config.model_copy(update={"data": config.data.model_copy(update={"terms": "our neighbours, who agreed"})})
    (folder / "start.pt").write_bytes(weights_bytes(other, build_network(other)))
    config = config.model_copy(update={"start": "start.pt"})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(config, shard_folder, folder / "run")
    return config, folder


@pytest.fixture
def begun(whole: tuple[Config, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Config, Path]:
    """A copy of it, as it is to whoever works in its folder."""
    config, folder = whole
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return config, tmp_path / "run"


def run(config: Config, shards: Path, folder: Path) -> School:
    faces, split = train.load_faces(config, shards)
    return distill.distill(config, faces, split, folder, quiet)


def changed(config: Config, **plan: object) -> Config:
    assert config.distill is not None
    return config.model_copy(update={"distill": config.distill.model_copy(update=plan)})


def test_what_the_start_was_trained_on_stays_with_a_run_that_goes_on(
    begun: tuple[Config, Path], shard_folder: Path
) -> None:
    config, folder = begun
    neighbours = load_trained(folder).inherited
    assert "our neighbours, who agreed" in neighbours
    weights = Path(config.start)
    weights.write_bytes(weights_bytes(config, build_network(config)))  # other weights lie there now
    went_on = run(config, shard_folder, folder)
    assert tuple(went_on.inherited) == load_trained(folder).inherited == neighbours
    assert "our neighbours, who agreed" in sources(config, went_on.inherited)


@pytest.mark.parametrize("change", [{"start": ""}, {"whiten": 0.5}, {"workers": 2}], ids=lambda each: next(iter(each)))
def test_a_run_of_another_meaning_is_not_gone_on_with(
    begun: tuple[Config, Path], shard_folder: Path, change: dict[str, object]
) -> None:
    config, folder = begun
    kept = (folder / CHECKPOINT).read_bytes()
    other = config.model_copy(update=change) if "start" in change else changed(config, **change)
    with pytest.raises(BadState, match=r"another network, start, .* Choose another --out folder"):
        run(other, shard_folder, folder)
    assert (folder / CHECKPOINT).read_bytes() == kept


def test_a_run_of_stages_is_not_gone_on_with(
    begun: tuple[Config, Path], shard_folder: Path, tiny_door: Config, tmp_path: Path
) -> None:
    faces, split = train.load_faces(tiny_door, shard_folder)
    train.train(tiny_door, faces, split, tmp_path / "stages", quiet)
    with pytest.raises(BadState, match="Choose another --out folder"):
        run(begun[0], shard_folder, tmp_path / "stages")


def test_the_decay_is_what_the_file_says_now(begun: tuple[Config, Path], shard_folder: Path) -> None:
    config, folder = begun
    went_on = run(changed(config, decay=0.25, crops=64), shard_folder, folder)
    muon, rest = went_on.workers[0].optimisers
    assert went_on.workers[0].step == 8
    assert [group["decay"] for group in muon.param_groups] == [0.25]
    assert [group["weight_decay"] for group in rest.param_groups] == [0.0]
    assert any("momentum" in memory for memory in muon.state.values()), "what it remembers is still there"


def test_the_checkpoint_says_which_code_taught_it(begun: tuple[Config, Path]) -> None:
    assert load_trained(begun[1]).code.startswith(checkpoint.version("latchkey"))


@pytest.mark.parametrize("length", [0, 1000, -1])
def test_a_checkpoint_that_is_cut_short_is_a_sentence(
    begun: tuple[Config, Path], shard_folder: Path, length: int
) -> None:
    config, folder = begun
    path = folder / CHECKPOINT
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BadState, match="not a whole checkpoint"):
        run(config, shard_folder, folder)


def full(_path: Path, _data: bytes, _mode: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_for_a_while_does_not_end_the_teaching(
    shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, crops=64).model_copy(update={"checkpoint_minutes": 1e-9})
    really, tries = checkpoint.write_atomic, list[Path]()

    def fill_once(path: Path, data: bytes, mode: int) -> None:
        tries.append(path)
        (full if len(tries) == 1 else really)(path, data, mode)

    monkeypatch.setattr(checkpoint, "write_atomic", fill_once)
    monkeypatch.setattr(distill, "LOOK_S", 0.001)
    said: list[str] = []
    faces, split = train.load_faces(config, shard_folder)
    distill.distill(config, faces, split, tmp_path / "run", said.append)
    assert [line for line in said if "cannot be written" in line]
    assert load_trained(tmp_path / "run").step == 8


def test_a_disk_that_is_full_at_the_end_is_a_sentence(
    begun: tuple[Config, Path], shard_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder = begun
    monkeypatch.setattr(checkpoint, "write_atomic", full)
    with pytest.raises(DiskFault, match=r"step 8 cannot be written .* Make room"):
        run(changed(config, crops=64), shard_folder, folder)
    assert load_trained(folder).step == 4


def test_a_loss_that_is_no_number_leaves_what_was_saved(
    begun: tuple[Config, Path], shard_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder = begun
    kept = (folder / CHECKPOINT).read_bytes()
    with pytest.raises(BadInput, match=r"step [67] is no number any more\. Lower rate"):
        run(changed(config, crops=96, rate=1e30), shard_folder, folder)
    assert (folder / CHECKPOINT).read_bytes() == kept
