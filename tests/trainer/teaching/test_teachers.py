"""Teachers are read without running them, shown the crop that each was made for, and believed only in unit rows."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from firmware_config.errors import BadInput, BadState
from tests.makers_teacher import tiny_teacher
from trainer.config import TeacherFile
from trainer.teaching import engines, facesdk, facexzoo, teachers


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
        licence="none",
    )
    said = teachers.load_teacher(file).say(crops)
    mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (file.mean, file.deviation))
    with torch.inference_mode():
        rows = original((torch.from_numpy(crops).permute(0, 3, 1, 2).float() - mean) / deviation)
    assert said == pytest.approx(torch.nn.functional.normalize(rows).numpy(), abs=2e-2)


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
    plain = teachers.load_teacher(file).say(crops)
    assert np.linalg.norm(plain, axis=1) == pytest.approx(1.0, abs=1e-5)
    # The other order of colours, of crops whose colours are the other way round, is the same picture.
    turned = teachers.load_teacher(file.model_copy(update={"order": "bgr"})).say(crops[..., ::-1])
    assert turned == pytest.approx(plain, abs=1e-5)
    larger = tiny_teacher(tmp_path / "l.onnx", rows=8, size=160)
    assert teachers.load_teacher(larger).say(crops).shape == (3, 8)


def test_a_teacher_that_takes_one_crop_at_a_time(tmp_path: Path, crops: np.ndarray) -> None:
    one = teachers.load_teacher(tiny_teacher(tmp_path / "one.onnx", rows=8, batch=1)).say(crops)
    many = teachers.load_teacher(tiny_teacher(tmp_path / "many.onnx", rows=8)).say(crops)
    assert one == pytest.approx(many, abs=1e-5)


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


def pickled(path: Path, content: object) -> Path:
    """As torch wrote files before 1.6, which is how the package xface has its own."""
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def test_a_pickled_module_is_read_by_a_list_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    original = facexzoo.Teacher().eval()
    # Classes of the package's own, which only whoever pickles has.
    package = types.ModuleType(facexzoo.PICKLED.removesuffix("."))
    block = type("Conv_block", (torch.nn.Module,), {"__module__": package.__name__})
    package.Conv_block = block  # type: ignore[attr-defined]
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch finds no source text of a made-up module
        patch.setitem(sys.modules, package.__name__, package)
        data = pickled(tmp_path / "file.pkl", torch.nn.DataParallel(as_pickled(original, block))).read_bytes()
    read = facexzoo.from_pickle(data)
    pixels = torch.rand(2, 3, 112, 112)
    with torch.inference_mode():
        assert torch.allclose(read(pixels), original(pixels), atol=1e-5)


def as_pickled(part: torch.nn.Module, block: type[torch.nn.Module]) -> torch.nn.Module:
    """The same tree of weights, of torch's classes and `block`."""
    if not list(part.children()):
        return part
    held = block()
    for name, child in part.named_children():
        held.add_module(name, as_pickled(child, block))
    return held


@pytest.mark.parametrize("content", [Trap(), {"conv1.conv.weight": torch.zeros(1)}, [1, 2]])
def test_a_pickle_of_anything_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object
) -> None:
    with pytest.raises(BadState, match="does not hold the teacher's weights"):
        facexzoo.from_pickle(pickled(tmp_path / "file.pkl", content).read_bytes())
    assert "the file ran" not in capsys.readouterr().out


@pytest.mark.parametrize(("exact", "engine"), [(False, "bfloat16's"), (True, "float32's")])
def test_bfloat16_is_for_teaching_alone(monkeypatch: pytest.MonkeyPatch, exact: bool, engine: str) -> None:
    monkeypatch.setattr(engines, "has_bfloat16", lambda: True)
    monkeypatch.setattr(engines, "OpenVino", lambda *_: "bfloat16's")
    monkeypatch.setattr(engines, "OnnxRuntime", lambda *_: "float32's")
    assert engines.open_engine(b"", 1, "The teacher", exact=exact) == engine


@pytest.mark.skipif(not engines.has_bfloat16(), reason="needs a processor with bfloat16 tiles (AMX)")
def test_bfloat16_says_nearly_the_same(tmp_path: Path) -> None:
    model = teachers.model_of(tiny_teacher(tmp_path / "t.onnx", rows=64))
    pixels = torch.from_numpy(np.random.default_rng(1).normal(size=(40, 3, 112, 112)).astype(np.float32))
    exact, quick = (each(model, 1, "it")(pixels).numpy() for each in (engines.OnnxRuntime, engines.OpenVino))
    assert exact.shape == quick.shape == (40, 64)
    exact, quick = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (exact, quick))
    assert np.min(np.sum(exact * quick, axis=1)) > 0.99
