"""Bad input ends in one sentence and exit code 2; a bundle goes from a run to an inspected file."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import device
from firmware_config.bundle import BundleRefused, read_bundle
from firmware_config.compatible import CrossCalibration
from firmware_config.face import ImageArray
from firmware_config.keys import SigningKey, VerifyKey
from tests.makers import toy_bundle
from trainer import train
from trainer.cli import main
from trainer.config import Config
from trainer.measuring import calibrate
from trainer.packing import assembling, gate


def _sentence(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["train", "nowhere.toml"], "cannot be read"),
        (["evaluate", "nowhere.latchkey", "--protocol", "att"], "cannot be read"),
        (["export", "nowhere", "--out", "x.onnx"], "Train first"),
        (["inspect", "nowhere.latchkey"], "cannot be read"),
        (["tutorial-report", "nowhere"], "Train first"),
    ],
)
def test_what_is_not_there_is_said(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert part in _sentence(capsys)


def test_missing_data_names_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    door = Path(train.__file__).parent / "configs/door.toml"
    assert main(["distill", str(door), "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "--data DIR" in _sentence(capsys)


def test_a_file_that_is_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "no.latchkey"
    path.write_bytes(b"not a zip")
    assert main(["inspect", str(path)]) == 2
    assert "not a whole bundle" in _sentence(capsys)


def test_keygen_keeps_the_private_half_private_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "release.key"
    assert main(["keygen", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    VerifyKey.load(tmp_path / "release.pub").verify(SigningKey.load(path).sign(b"bundle"), b"bundle")
    before = path.read_bytes()
    assert main(["keygen", str(path)]) == 2
    assert "is there already" in _sentence(capsys)
    assert path.read_bytes() == before


def test_a_key_is_asked_for_by_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "some.latchkey"
    bundle.write_bytes(toy_bundle())
    assert main(["keygen", str(tmp_path / "release.key")]) == 0
    assert main(["sign", str(bundle), "--key", str(tmp_path / "release.pub")]) == 2
    assert "is the public half" in _sentence(capsys)
    assert main(["sign", str(bundle), "--key", str(tmp_path / "gone.key")]) == 2
    assert "keygen" in _sentence(capsys)
    assert main(["inspect", str(bundle), "--trust", str(tmp_path / "gone.pub")]) == 2
    assert "keygen" in _sentence(capsys)


@pytest.mark.parametrize(("command", "file"), [("train", "door.toml"), ("distill", "own-people.toml")])
def test_a_configuration_for_the_other_command_is_told_before_the_images_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, file: str
) -> None:
    config = Path(__file__).parents[2] / "trainer/configs" / file
    assert main([command, str(config), "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert f"use `latchkey-trainer {'distill' if command == 'train' else 'train'}`" in _sentence(capsys)


def test_a_place_that_takes_no_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["keygen", str(tmp_path / "file" / "release.key")]) == 2
    assert _sentence(capsys).startswith(f"latchkey-trainer: {tmp_path / 'file'}")


def test_a_folder_that_may_not_be_written_is_told_by_the_name_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(dir: Path, prefix: str) -> tuple[int, str]:  # noqa: A002 - as tempfile has it
        raise PermissionError(13, "Permission denied", str(dir / f"{prefix}a1b2c3d4"))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert main(["keygen", str(tmp_path / "release.key")]) == 2
    assert _sentence(capsys) == f"latchkey-trainer: {tmp_path / 'release.key'}: Permission denied."


@pytest.mark.slow
@pytest.mark.timeout(240)  # it trains, and bundles four times: a minute of a processor that it shares with two lanes
def test_from_a_run_to_a_signed_bundle(
    tiny_door: Config,
    shard_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(calibrate, "BOOTSTRAPS", 5)
    config = tiny_door.model_copy(
        update={"data": tiny_door.data.model_copy(update={"calibration_people": 6, "validation_people": 2})}
    )
    monkeypatch.setattr(calibrate, "FEWEST_IMPOSTORS", 100)
    # Untrained, the network's outputs are smaller than a step of int8: a little training makes them real.
    faces, split = train.load_faces(config, shard_folder)
    train.train(config, faces, split, tmp_path / "run", lambda _line: None)
    report = tmp_path / "report.html"
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(shard_folder), "--report", str(report)]) == 0
    assert "held-out: EER" in capsys.readouterr().out
    assert "data:image/png" not in report.read_text()  # CelebA's faces stay out
    assert main(["evaluate", str(tmp_path / "run"), "--protocol", "lfw"]) == 2
    assert "bundle it first" in _sentence(capsys)
    key, bundle = tmp_path / "release.key", tmp_path / "tiny.latchkey"
    assert main(["keygen", str(key)]) == 0
    arguments = ["bundle", str(tmp_path / "run"), "--out", str(bundle), "--name", "tiny", "--version", "1.2.3"]
    # int8 hurts so small a network, and the gate says so before anything is written.
    assert main([*arguments, "--data", str(shard_folder)]) == 2
    assert "int8 loses" in _sentence(capsys)
    assert not bundle.exists()
    monkeypatch.setattr(gate, "MOST_LOST", 1.0)
    # Measured in tests/trainer/packing/test_half.py: a processor takes long for fp16.
    monkeypatch.setattr(assembling, "check_half", lambda *_: 0.01)
    assert main([*arguments, "--half", "--data", str(shard_folder)]) == 0, capsys.readouterr().err
    trusted = [VerifyKey.load(tmp_path / "release.pub")]
    with pytest.raises(BundleRefused, match="not signed"):
        read_bundle(bundle.read_bytes(), trusted)
    assert main(["sign", str(bundle), "--key", str(key)]) == 0
    read = read_bundle(bundle.read_bytes(), trusted)
    assert (read.manifest.name, read.manifest.version) == ("tiny", "1.2.3")
    assert "CelebA" in read.model_card
    assert f"Only {read.calibration.identities} people calibrated" in read.model_card
    assert read.calibration.identities >= 6
    assert read.half is not None
    assert read.manifest.half_off == 0.01
    capsys.readouterr()
    assert main(["inspect", str(bundle), "--trust", str(tmp_path / "release.pub"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["manifest"]["encoder_id"] == read.manifest.encoder_id
    assert shown["signature"] == "by release.pub"
    assert shown["half_bytes"] == len(read.half)
    assert shown["compatible_with"] == {}
    _declares_the_one_before(bundle, key, trusted, shard_folder, monkeypatch, capsys)


def _declares_the_one_before(
    bundle: Path,
    key: Path,
    trusted: list[VerifyKey],
    shard_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The run behind `bundle`, bundled again as its successor."""
    # The same network that looks at the mirror image too is another encoder, which speaks the same language.
    read, newer = read_bundle(bundle.read_bytes(), trusted), bundle.with_name("newer.latchkey")
    again = [
        "bundle",
        str(bundle.with_name("run")),
        "--out",
        str(newer),
        "--version",
        "1.3.0",
        "--data",
        str(shard_folder),
    ]
    declaring = [*again, "--compatible-with", str(bundle)]
    assert main(declaring) == 2
    assert "the very same encoder" in _sentence(capsys)
    with monkeypatch.context() as laxer:
        # A handful of untaught crops: what is judged elsewhere is not judged on them.
        judged: list[tuple[float, float]] = []
        laxer.setattr(gate, "check_compatible", lambda cross, old: judged.append((cross, old)))
        laxer.setattr(CrossCalibration, "cross_tar", property(lambda _: 1.0))
        assert main([*declaring, "--mirrored", "--key", str(key)]) == 0, capsys.readouterr().err
        declared = read_bundle(newer.read_bytes(), trusted)
        assert len(judged) == 1
    assert declared.manifest.compatible_with == [read.manifest.encoder_id]
    proof = declared.proofs[read.manifest.encoder_id]
    assert proof.probes == declared.manifest.encoder_id
    assert proof.old == read.calibration
    assert proof.cross.impostor_pairs == 2 * read.calibration.impostor_pairs
    assert "flatters" not in proof.cross.source  # trained on the very same images
    assert f"Compatible with {read.manifest.encoder_id[:12]}" in declared.model_card


def test_what_the_encoder_looked_at_is_a_picture(
    tmp_path: Path, att: dict[int, list[ImageArray]], capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [tmp_path / f"{number}.png" for number in range(2)]
    for number, path in enumerate(photos):
        path.write_bytes(cv2.imencode(".png", att[5][number])[1].tobytes())
    default, out = str(Path(device.__file__).parent / "models/default.latchkey"), tmp_path / "looked-at.png"
    assert main(["occlusion", default, *map(str, photos), "--out", str(out)]) == 0
    assert "distance 0." in capsys.readouterr().out
    assert cv2.imdecode(np.frombuffer(out.read_bytes(), np.uint8), cv2.IMREAD_COLOR).shape[1] > 400
    photos[1].write_bytes(b"no picture")
    assert main(["occlusion", default, *map(str, photos), "--out", str(out)]) == 2
    assert "1.png is not an image" in _sentence(capsys)


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, trainer.cli; trainer.cli.build_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
