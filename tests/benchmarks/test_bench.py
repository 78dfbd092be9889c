"""The bench shows every encoder the same faces, times them in turns and writes down what it measured."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from time import sleep
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper
from torch import Tensor, nn

from benchmarks import __main__ as bench
from benchmarks import faces, kept, peers
from device.detect import Detector, Face
from device.outfit import default_bundle
from firmware_config.assets import known_assets
from firmware_config.bundle import Golden, read_bundle
from firmware_config.errors import BadInput
from firmware_config.face import TEMPLATE, ImageArray
from trainer.config import TeacherFile


def shot_of(value: int) -> faces.Shot:
    image = np.full((128, 128, 3), value, dtype=np.uint8)
    return faces.Shot(image, Face((0.0, 0.0, 112.0, 112.0), TEMPLATE, 0.9), found=True)


def peer(name: str, seconds: float = 0.0) -> peers.Peer:
    """Knows people by the brightness of their pictures."""

    def embed(chip: ImageArray) -> np.ndarray:
        sleep(seconds)
        angle = float(chip.mean()) / 255.0
        return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)

    return peers.Peer(name, 2_000_000, 500_000, "none", lambda shot: shot.image, embed)


def people() -> tuple[list[faces.Shot], np.ndarray]:
    return [shot_of(10 + 60 * person + number) for person in range(4) for number in range(3)], np.repeat(
        np.arange(4), 3
    )


def test_a_slower_encoder_has_the_longer_median() -> None:
    times = bench.times_ms([peer("fast"), peer("slow", 0.004)], shot_of(9), runs=10)
    assert 4.0 <= times["slow"] < 400.0
    assert times["fast"] < times["slow"]


def test_errors_are_counted_over_the_pairs_given() -> None:
    shots, identities = people()
    rows = np.array([[0, 1], [0, 3], [3, 4], [1, 9]] * 10)
    same = np.array([True, False, True, False] * 10)
    found = bench.accuracy(peer("clear"), faces.Pairs(shots, rows, same), (shots, identities))
    assert found == {"att_eer": pytest.approx(0.0, abs=1e-3), "lfw_accuracy": 1.0, "lfw_tar_1e-3": 1.0}
    blind = peers.Peer("blind", 1, 1, "none", lambda shot: shot.image, lambda chip: np.array([1.0, 0.0], np.float32))
    assert bench.accuracy(blind, None, (shots, identities))["att_eer"] == pytest.approx(0.5, abs=0.01)


class Stub(nn.Module):
    """In the place of timm's EdgeNeXt: the mean colour, through one layer."""

    def reset_classifier(self, numbers: int) -> None:
        self.head = nn.Linear(3, numbers)

    def forward(self, pixels: Tensor) -> Tensor:
        rows: Tensor = self.head(pixels.mean((2, 3)))
        return rows


def test_of_a_network_with_weights_by_chance_only_the_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=lambda _name, **_more: Stub()))
    chance = peers.edgeface()
    row = chance.embed(np.zeros((112, 112, 3), np.uint8))
    assert row.shape == (512,)
    assert np.linalg.norm(row) == pytest.approx(1.0)
    assert chance.parameters == pytest.approx(512 * 4, abs=8)  # and the axes of the mean

    monkeypatch.setattr(bench, "contestants", lambda *_: [peer("ours"), chance])
    monkeypatch.setattr(faces, "att", lambda cache: people())
    out = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--pairs", "0", "--cache", str(tmp_path), "--out", str(out)])
    assert bench.main() == 0
    assert [set(row) & {"ms", "att_eer"} for row in json.loads(out.read_text())["encoders"]] == [
        {"ms", "att_eer"},
        {"ms"},
    ]
    assert capsys.readouterr().out.splitlines()[3].endswith("| not run | not run | not run |")


def test_a_torchvision_that_fits_no_torch_is_a_reason_to_leave_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(ImportError, match="torchvision::nms"):
        peers.edgeface()


def test_the_result_is_written_with_the_machine_and_the_table_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "contestants", lambda *_: [peer("ours"), peer("theirs", 0.002)])
    monkeypatch.setattr(faces, "att", lambda cache: people())
    out = tmp_path / "result.json"
    told = ["--pairs", "0", "--runs", "50", "--cache", str(tmp_path), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *told])
    assert bench.main() == 0
    result = json.loads(out.read_text())
    assert (result["threads"], result["runs"], result["lfw_pairs"]) == (1, 50, 0)
    assert result["machine"]["cores"] >= 1
    assert [row["name"] for row in result["encoders"]] == ["ours", "theirs"]
    table = capsys.readouterr().out.splitlines()
    assert table[2].startswith("| ours | 2.00 | 0.50 |")
    assert "not run" in table[3]
    assert "onnxruntime" in table[-1]


def test_a_face_is_embedded_once_for_each_encoder(tmp_path: Path) -> None:
    asked: list[int] = []

    def embed(chip: ImageArray) -> np.ndarray:
        asked.append(int(chip[0, 0, 0]))
        return np.array([1.0, float(chip[0, 0, 0])], dtype=np.float32)

    def made_of(key: str) -> peers.Peer:
        return peers.Peer("one", 1, 1, "none", lambda shot: shot.image, embed, key)

    first = kept.rows_of(made_of("a"), [shot_of(1), shot_of(2), shot_of(1)], tmp_path)
    assert asked == [1, 2]
    again = kept.rows_of(made_of("a"), [shot_of(3), shot_of(2), shot_of(1)], tmp_path)
    assert asked == [1, 2, 3]
    assert np.array_equal(first, again[[2, 1, 2]])
    kept.rows_of(made_of("b"), [shot_of(1)], tmp_path)
    assert asked == [1, 2, 3, 1]


def colours_of(tmp_path: Path) -> TeacherFile:
    """An encoder that says the mean of each channel it is fed, as a file of one's own."""
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 112, 112])
    said = helper.make_tensor_value_info("said", TensorProto.FLOAT, [1, 3, 1, 1])
    stale = helper.make_tensor_value_info("weights_of_before", TensorProto.FLOAT, [3, 3])
    node = helper.make_node("GlobalAveragePool", ["pixels"], ["said"])
    graph = helper.make_graph([node], "mean", [pixels, stale], [said])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    path = tmp_path / "mean.onnx"
    path.write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    return TeacherFile(
        name="mean", onnx=str(path), sha256=digest, order="bgr", mean=(10, 20, 30), deviation=(2, 4, 8), licence="none"
    )


def test_a_peer_is_fed_in_its_own_order_and_scale(tmp_path: Path) -> None:
    peer = peers.public("means", colours_of(tmp_path))
    chip = np.zeros((112, 112, 3), dtype=np.uint8) + np.array([70, 60, 50], dtype=np.uint8)  # red, green, blue
    wanted = np.array([(50 - 10) / 2, (60 - 20) / 4, (70 - 30) / 8])
    assert peer.embed(chip) == pytest.approx(wanted / np.linalg.norm(wanted))


def test_the_list_of_peers_names_their_licences_and_says_what_is_wrong_with_another(tmp_path: Path) -> None:
    listed = peers.listed()
    assert {file.name for _, file in listed} >= {"sface", "sface-int8bq", "facexzoo", "facesdk"}
    assert all(file.asset in known_assets() and file.licence for _, file in listed)
    own = tmp_path / "peers.toml"
    own.write_text('[[peer]]\nname = "x"\n')
    with pytest.raises(BadInput, match="title"):
        peers.listed(own)
    own.write_text('[[peer]]\ntitle = "X"\nname = "x"\nlicence = "none"\n')
    with pytest.raises(BadInput, match="an asset, or an onnx file"):
        peers.listed(own)


def test_a_float_model_of_another_encoder_is_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows = random.normal(size=(4, 128)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    whole = SimpleNamespace(golden=Golden(np.zeros((4, 112, 112, 3), np.uint8), rows))
    answers = iter([*rows, *-rows])
    said = peers.Peer("fp32", 1, 1, "none", lambda shot: shot.image, lambda chip: next(answers))
    bench._same_encoder(said, whole)
    with pytest.raises(BadInput, match="not the bundle's encoder"):
        bench._same_encoder(said, whole)


def test_too_few_runs_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--runs", "49"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "fewer than 50" in capsys.readouterr().err


def test_our_encoder_is_the_doors(att: dict[int, list[ImageArray]], detector: Detector) -> None:
    del detector  # asked for so that a missing one skips
    bundle = read_bundle(default_bundle().read_bytes(), None)
    photo = np.repeat(att[1][0][..., np.newaxis], 3, axis=2)
    (shot,) = faces.shoot([photo])
    assert shot.found
    ours = peers.ours("int8", bundle.onnx, bundle.manifest.licence)
    assert ours.licence == bundle.manifest.licence
    assert ours.file_bytes == len(bundle.onnx)
    assert 0.5e6 < ours.parameters < len(bundle.onnx)
    row = ours.embed(ours.chip(shot))
    assert row.shape == (128,)
    assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-3)


def test_a_face_that_is_not_found_counts_by_its_middle(detector: Detector) -> None:
    del detector
    (shot,) = faces.shoot([np.full((150, 150, 3), 90, dtype=np.uint8)])
    assert not shot.found
    assert peers.door_crop(shot).shape == (112, 112, 3)
