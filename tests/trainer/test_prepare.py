"""The commands that prepare images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from firmware_config.face import ImageArray
from tests.trainer.images.test_style import dim_frames
from trainer.cli import main


def test_style_shows_faces_before_and_after(
    att: dict[int, list[ImageArray]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dim_frames(tmp_path, 6)
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    assert main(["style", "--frames", str(tmp_path), "--out", str(tmp_path / "out" / "style.png")]) == 0
    assert "6 frames read, 1 left out" in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / "out" / "style.png"))
    third = picture.shape[0] // 3
    before, after = picture[third : 2 * third].mean(), picture[2 * third :].mean()
    assert after < before - 20, "the corridor is dim"


def test_style_without_frames_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["style", "--frames", str(tmp_path), "--out", str(tmp_path / "style.png")]) == 2
    assert "no frame of a camera" in capsys.readouterr().err


@pytest.mark.parametrize("beta", ["0.5", "0", "nan"])
def test_a_share_of_frequencies_that_is_none_is_a_sentence(
    beta: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dim_frames(tmp_path, 1)
    arguments = ["style", "--frames", str(tmp_path), "--out", str(tmp_path / "style.png"), "--beta", beta]
    assert main(arguments) == 2
    assert f"--beta {float(beta)} will not do: input should be" in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["0", "-1"])
def test_aligning_by_nobody_is_a_sentence(workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ana").mkdir()
    (tmp_path / "ana" / "1.jpg").touch()
    assert main(["align", str(tmp_path), str(tmp_path / "crops"), "--workers", workers]) == 2
    assert "--workers counts from 1" in capsys.readouterr().err


def test_bench_data_counts_crops_a_second(
    shard_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench-data", "--data", str(shard_folder), "--crops", "40", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["crops"] == 40
    assert 0 < result["on"] < result["off"]
    assert result["from_shards_on"] < result["from_shards_off"] < min(result["decode"], result["off"])
    report = tmp_path / "loading.html"
    assert main(["bench-data", "--data", str(shard_folder), "--crops", "40", "--report", str(report)]) == 0
    assert "from shards, looks off" in report.read_text()
    assert "every step on every image" in capsys.readouterr().out
