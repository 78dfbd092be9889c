"""Teachers are read without running them, shown the crop that each was made for, and believed only in unit rows."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from firmware_config.errors import BadInput, BadState
from tests.makers_teacher import tiny_teacher
from trainer import facesdk, teachers
from trainer.config import TeacherFile


class Trap:
    """Runs something when it is unpickled the careless way."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("the file ran",))


def archive(path: Path, weights: object) -> Path:
    stream = io.BytesIO()
    torch.save(weights, stream)
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(facesdk.MEMBER)
        entry.size = len(stream.getvalue())
        tar.addfile(entry, io.BytesIO(stream.getvalue()))
    return path


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)


def test_weights_are_read_by_name_and_asked_with_the_right_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crops: np.ndarray
) -> None:
    torch.manual_seed(2)
    original = facesdk.Teacher().eval()
    path = archive(tmp_path / "facesdk.tar.gz", original.state_dict())
    monkeypatch.setattr(facesdk, "fetch", lambda name, cache: path)
    file = TeacherFile(
        name="facesdk",
        asset="facesdk",
        mean=(123.675, 116.28, 103.53),
        deviation=(58.395, 57.12, 57.375),
        maps=("map14", "map7"),
        licence="none",
    )
    said = teachers.load_teacher(file).say(crops)
    mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (file.mean, file.deviation))
    with torch.inference_mode():
        rows, map14, map7 = original((torch.from_numpy(crops).permute(0, 3, 1, 2).float() - mean) / deviation)
    assert said.embeddings == pytest.approx(torch.nn.functional.normalize(rows).numpy(), abs=1e-4)
    assert [values.shape for values in said.maps] == [(3, 128, 14, 14), (3, 128, 7, 7)]
    for got, wanted in zip(said.maps, (map14, map7), strict=True):
        assert np.abs(got - wanted.numpy()).max() < 1e-3 * float(wanted.abs().max())


@pytest.mark.parametrize("content", [Trap(), {"conv1.0.weight": torch.zeros(1)}, [1, 2]])
def test_a_file_that_holds_anything_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: object
) -> None:
    path = archive(tmp_path / "facesdk.tar.gz", content)
    monkeypatch.setattr(facesdk, "fetch", lambda name, cache: path)
    with pytest.raises(BadState, match="does not hold the teacher's weights"):
        facesdk.load_teacher()
    assert "the file ran" not in capsys.readouterr().out


def test_each_teacher_sees_its_own_colours_and_size(tmp_path: Path, crops: np.ndarray) -> None:
    file = tiny_teacher(tmp_path / "t.onnx", rows=8)
    plain = teachers.load_teacher(file).say(crops).embeddings
    assert np.linalg.norm(plain, axis=1) == pytest.approx(1.0, abs=1e-5)
    # The other order of colours, of crops whose colours are the other way round, is the same picture.
    turned = teachers.load_teacher(file.model_copy(update={"order": "bgr"})).say(crops[..., ::-1]).embeddings
    assert turned == pytest.approx(plain, abs=1e-5)
    larger = tiny_teacher(tmp_path / "l.onnx", rows=8, size=160)
    assert teachers.load_teacher(larger).say(crops).embeddings.shape == (3, 8)


def test_a_teacher_that_takes_one_crop_at_a_time(tmp_path: Path, crops: np.ndarray) -> None:
    one = teachers.load_teacher(tiny_teacher(tmp_path / "one.onnx", rows=8, batch=1)).say(crops)
    many = teachers.load_teacher(tiny_teacher(tmp_path / "many.onnx", rows=8)).say(crops)
    assert one.embeddings == pytest.approx(many.embeddings, abs=1e-5)
    assert one.maps[0] == pytest.approx(many.maps[0], abs=1e-5)


def test_another_file_than_the_pinned_one_teaches_nobody(tmp_path: Path) -> None:
    file = tiny_teacher(tmp_path / "t.onnx", rows=8)
    (tmp_path / "t.onnx").write_bytes(b"changed")
    with pytest.raises(BadInput, match="not the one that the configuration pins"):
        teachers.load_teacher(file)
    pinned = file.model_copy(update={"sha256": hashlib.sha256(b"changed").hexdigest()})
    with pytest.raises(BadInput, match="not an ONNX model"):
        teachers.load_teacher(pinned)
    with pytest.raises(BadInput, match="cannot be read"):
        teachers.load_teacher(file.model_copy(update={"onnx": str(tmp_path / "gone.onnx")}))


def test_a_map_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tiny_teacher(tmp_path / "t.onnx", rows=8).model_copy(update={"maps": ("map14", "nowhere")})
    with pytest.raises(BadInput, match="no tensor 'nowhere'"):
        teachers.load_teacher(file)
