"""The bench shows every encoder the same faces, times them in turns and writes down what it measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import faces, peers
from device.detect import Detector, Face
from device.outfit import default_bundle
from firmware_config.bundle import read_bundle
from firmware_config.face import TEMPLATE, ImageArray


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


def test_the_result_is_written_with_the_machine_and_the_table_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "contestants", lambda *_: [peer("ours"), peer("theirs", 0.002)])
    monkeypatch.setattr(faces, "att", lambda cache: people())
    out = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--pairs", "0", "--runs", "50", "--out", str(out)])
    assert bench.main() == 0
    result = json.loads(out.read_text())
    assert (result["threads"], result["runs"], result["lfw_pairs"]) == (1, 50, 0)
    assert result["machine"]["cores"] >= 1
    assert [row["name"] for row in result["encoders"]] == ["ours", "theirs"]
    table = capsys.readouterr().out.splitlines()
    assert table[2].startswith("| ours | 2.00 | 0.50 |")
    assert "not run" in table[3]


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
    ours = peers.ours("int8", bundle.onnx)
    assert ours.file_bytes == len(bundle.onnx)
    assert 0.9e6 < ours.parameters < 1.5e6
    row = ours.embed(ours.chip(shot))
    assert row.shape == (128,)
    assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-3)


def test_a_face_that_is_not_found_counts_by_its_middle(detector: Detector) -> None:
    del detector
    (shot,) = faces.shoot([np.full((150, 150, 3), 90, dtype=np.uint8)])
    assert not shot.found
    assert peers.door_crop(shot).shape == (112, 112, 3)
