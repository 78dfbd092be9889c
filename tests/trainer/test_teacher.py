"""The teacher is read without running it, asked once a crop, and followed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from firmware_config.errors import BadState
from trainer import teacher
from trainer.data import Faces
from trainer.losses import regression


class Trap:
    """Runs something when it is unpickled the careless way."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("the file ran",))


def archive(path: Path, weights: object) -> Path:
    stream = io.BytesIO()
    torch.save(weights, stream)
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(teacher.MEMBER)
        entry.size = len(stream.getvalue())
        tar.addfile(entry, io.BytesIO(stream.getvalue()))
    return path


@pytest.fixture
def crops() -> Faces:
    pixels = np.random.default_rng(3).integers(0, 256, (5, 128, 128, 3), dtype=np.uint8)
    return Faces(pixels, np.arange(5), tuple(f"ff-x-{n}" for n in range(5)))


def test_weights_are_read_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = teacher.Teacher().eval()
    path = archive(tmp_path / "facesdk.tar.gz", original.state_dict())
    monkeypatch.setattr(teacher, "fetch", lambda name, cache: path)
    loaded = teacher.load_teacher()
    images = torch.randint(0, 256, (2, 112, 112, 3), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(loaded(images), original(images))


@pytest.mark.parametrize("content", [Trap(), {"conv1.0.weight": torch.zeros(1)}, [1, 2]])
def test_a_file_that_holds_anything_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: object
) -> None:
    path = archive(tmp_path / "facesdk.tar.gz", content)
    monkeypatch.setattr(teacher, "fetch", lambda name, cache: path)
    with pytest.raises(BadState, match="does not hold the teacher's weights"):
        teacher.load_teacher()
    assert "the file ran" not in capsys.readouterr().out


def test_each_crop_is_shown_once_and_the_answers_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crops: Faces
) -> None:
    made = teacher.Teacher().eval()
    monkeypatch.setattr(teacher, "load_teacher", lambda cache: made)
    first = teacher.taught(crops, tmp_path, say=lambda line: None)
    assert first.shape == (5, 128)
    assert np.linalg.norm(first, axis=1) == pytest.approx(1.0, abs=1e-5)

    def gone(cache: Path | None) -> teacher.Teacher:
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr(teacher, "load_teacher", gone)
    assert np.array_equal(teacher.taught(crops, tmp_path, say=lambda line: None), first)


def test_regression_is_the_mean_squared_distance() -> None:
    random = np.random.default_rng(4)
    student, target = random.normal(size=(6, 8)), random.normal(size=(6, 8))
    expected = (
        sum(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for x, y in zip(student, target, strict=True)) / 6
    )
    assert float(regression(torch.from_numpy(student), torch.from_numpy(target))) == pytest.approx(expected)
