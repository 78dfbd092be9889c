"""A public encoder becomes a door's as it was published, and the bundle says whose it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from device.embed import Encoder
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput, BadState
from firmware_config.face import ImageArray
from tests.makers_teacher import tiny_teacher
from trainer.cli import main
from trainer.config import Config, TeacherFile
from trainer.images.sources import load_named
from trainer.measuring import calibrate
from trainer.packing import adopting
from trainer.teaching import labels
from trainer.teaching.teachers import load_teacher


@pytest.fixture(autouse=True)
def _few_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "BOOTSTRAPS", 5)
    monkeypatch.setattr(calibrate, "FEWEST_IMPOSTORS", 100)


@pytest.fixture
def crops() -> ImageArray:
    return np.random.default_rng(3).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)


def adopted(config: Config, file: TeacherFile, folder: Path, half: bool = False) -> bytes:
    data = config.data.model_copy(update={"calibration_people": 6})
    settings = config.model_copy(update={"teacher": [file], "data": data})
    faces, split = load_named(settings, folder)
    return adopting.adopt(settings, file.name, faces, split, "1.0.0", {}, lambda _line: None, half=half)


def test_it_answers_as_it_did_where_it_was_published(
    tiny_door: Config, shard_folder: Path, tmp_path: Path, crops: ImageArray
) -> None:
    file = tiny_teacher(tmp_path / "public.onnx", rows=128, size=96, batch=1).model_copy(update={"order": "bgr"})
    bundle = read_bundle(adopted(tiny_door, file, shard_folder), None)
    encoder = Encoder(bundle.onnx)
    assert encoder.embed(crops) == pytest.approx(load_teacher(file, exact=True).say(crops), abs=1e-3)
    assert encoder.encoder_id == bundle.manifest.encoder_id
    assert encoder.embed(bundle.golden.inputs) == pytest.approx(bundle.golden.outputs, abs=1e-5)


def test_the_card_says_whose_it_is_and_that_its_people_are_not_known(
    tiny_door: Config, shard_folder: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(adopted(tiny_door, tiny_teacher(tmp_path / "public.onnx", rows=128), shard_folder), None)
    assert bundle.manifest.licence.startswith("made up for a test; calibrated on CelebA")
    assert "not known to be apart" in bundle.calibration.source
    whose = "that the makers of public chose. made up for a test"
    for said in (whose, "as it was published", "float32 inside", "flatters"):
        assert said in bundle.model_card
    assert "neither trained on" not in bundle.model_card
    assert bundle.manifest.training["adopted"]["sha256"]


@pytest.mark.parametrize("rows", [10, 300])
def test_more_or_fewer_numbers_than_a_door_compares_keep_their_angles(
    tiny_door: Config, shard_folder: Path, tmp_path: Path, rows: int
) -> None:
    # Ten maps make these rows, so 128 directions hold all of them.
    file = tiny_teacher(tmp_path / "other.onnx", rows=rows)
    faces, _ = load_named(tiny_door, shard_folder)
    crops = np.ascontiguousarray(faces.centre()[:8])
    encoder = Encoder(read_bundle(adopted(tiny_door, file, shard_folder), None).onnx)
    ours, theirs = encoder.embed(crops), load_teacher(file, exact=True).say(crops)
    assert ours.shape == (8, 128)
    assert ours @ ours.T == pytest.approx(theirs @ theirs.T, abs=1e-3)


def test_a_name_that_is_no_teachers_is_told_with_those_that_are(
    tiny_door: Config, shard_folder: Path, tmp_path: Path
) -> None:
    file = tiny_teacher(tmp_path / "public.onnx", rows=128)
    faces, split = load_named(tiny_door, shard_folder)
    settings = tiny_door.model_copy(update={"teacher": [file]})
    with pytest.raises(BadInput, match="no teacher sface; it has public"):
        adopting.adopt(settings, "sface", faces, split, "1.0.0", {})
    with pytest.raises(BadInput, match="it has none"):
        adopting.adopt(tiny_door, "sface", faces, split, "1.0.0", {})


def test_an_encoder_that_no_bundle_holds_is_refused(
    tiny_door: Config, shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "MAX_BUNDLE_BYTES", 1000)
    with pytest.raises(BadInput, match="a bundle holds 1000"):
        adopted(tiny_door, tiny_teacher(tmp_path / "large.onnx", rows=128), shard_folder)


def test_a_graph_that_says_something_else_is_not_packed(
    tiny_door: Config, shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny_teacher(tmp_path / "other.onnx", rows=128, seed=9)
    monkeypatch.setattr(adopting, "load_teacher", lambda *_, exact: load_teacher(other, exact=exact))
    with pytest.raises(BadState, match="differs from the trained one"):
        adopted(tiny_door, tiny_teacher(tmp_path / "public.onnx", rows=128), shard_folder)


def test_from_a_configuration_to_a_bundle(
    shard_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tiny_teacher(tmp_path / "public.onnx", rows=128)
    config = tmp_path / "public.toml"
    config.write_text(
        'name = "public"\nthreads = 1\n[network]\nkind = "mobilefacenet"\n[data]\nsource = "shards"\n'
        "calibration_people = 6\nvalidation_people = 2\n[distill]\ncrops = 1\n[[teacher]]\n"
        f'name = "public"\nonnx = "{file.onnx}"\nsha256 = "{file.sha256}"\nlicence = "made up"\n',
    )
    out = tmp_path / "public.latchkey"
    arguments = ["adopt", str(config), "public", "--data", str(shard_folder), "--out", str(out)]
    assert main([*arguments, "--version", "1.0"]) == 2
    assert "three numbers" in capsys.readouterr().err
    notes = tmp_path / "lfw.json"
    notes.write_text("EER 1 %")
    assert main([*arguments, "--results", str(notes)]) == 2
    assert "is no JSON" in capsys.readouterr().err
    # To a teacher of random weights all people are one.
    assert main(arguments) == 2
    assert "two are a pair" in capsys.readouterr().err
    monkeypatch.setattr(labels, "SAME_PERSON", 2.0)
    notes.write_text(json.dumps({"protocol": "lfw", "pairs": list(range(9000))}))
    assert main([*arguments, "--results", str(notes)]) == 2
    assert "a door reads 16,384: leave one of them out" in capsys.readouterr().err
    notes.write_text(json.dumps({"protocol": "lfw", "accuracy": 0.98983333, "eer": 1e-7}))
    assert main([*arguments, "--results", str(notes)]) == 0, capsys.readouterr().err
    assert "NOT signed" in capsys.readouterr().out
    assert '"accuracy": 0.98983, "eer": 1e-07' in read_bundle(out.read_bytes(), None).model_card
