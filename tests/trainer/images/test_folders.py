"""Whoever brings pictures of their own people learns what was wrong with them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from firmware_config.errors import BadInput
from trainer.config import Config
from trainer.images.folders import read_folder
from trainer.images.sources import load_faces


def _write(path: Path, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Ada with three crops, one of them grey; Bo with one; Cy with none that reads; and odd files."""
    red = np.zeros((128, 128, 3), dtype=np.uint8)
    red[..., 2] = 200  # BGR
    for number in range(2):
        _write(tmp_path / "ada" / f"{number}.png", red)
    _write(tmp_path / "ada" / "2.png", np.full((128, 128), 77, dtype=np.uint8))
    _write(tmp_path / "bo" / "0.PNG", red)
    (tmp_path / "cy").mkdir()
    (tmp_path / "cy" / "0.jpg").write_bytes(b"no picture")
    _write(tmp_path / "ada" / "alpha.png", np.zeros((128, 128, 4), dtype=np.uint8))
    (tmp_path / "ada" / "deep.png").write_bytes(
        cv2.imencode(".png", np.zeros((128, 128), dtype=np.uint16))[1].tobytes()
    )
    _write(tmp_path / "bo" / "photo.png", np.zeros((300, 200, 3), dtype=np.uint8))
    (tmp_path / "no-face.txt").write_text("cy/1.jpg")
    return tmp_path


def test_what_does_not_fit_is_left_out_and_counted(people: Path, caplog: pytest.LogCaptureFixture) -> None:
    faces, left_out = read_folder(people)
    assert faces.keys == ("ada/0.png", "ada/1.png", "ada/2.png", "bo/0.PNG")
    assert faces.identities.tolist() == [0, 0, 0, 1]
    assert faces.pixels.shape == (4, 128, 128, 3)
    assert (faces.pixels[0, 0, 0] == (200, 0, 0)).all()  # RGB
    assert (faces.pixels[2, 0, 0] == 77).all()
    assert sum(left_out.images.values()) == 4
    assert left_out.images["cannot be read"] == 1
    assert left_out.images["neither grey nor colour of 8 bits"] == 2
    assert left_out.empty == ["cy"]
    assert left_out.single == ["bo"]
    for part in ("latchkey-trainer align", "1 folders hold no picture", "1 people have one picture only (bo first)"):
        assert part in caplog.text


def test_small_networks_take_pictures_of_any_size(people: Path) -> None:
    faces, left_out = read_folder(people, 40)
    assert faces.pixels.shape == (5, 40, 40, 1)
    assert "bo/photo.png" in faces.keys
    assert left_out.single == []


@pytest.mark.parametrize(("folder", "part"), [("nowhere", "--data DIR"), ("", "0 people")])
def test_folder_without_people_is_a_sentence(tmp_path: Path, folder: str, part: str) -> None:
    with pytest.raises(BadInput, match=part):
        read_folder(tmp_path / folder)


def test_split_of_a_folder_is_of_people(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for person in range(6):
        for number in range(3):
            _write(tmp_path / f"p{person}" / f"{number}.png", random.integers(0, 256, (60, 50), dtype=np.uint8))
    config = Config.model_validate(
        {
            "name": "own",
            "network": {"kind": "edgenet"},
            "data": {"source": "folder", "calibration_people": 1, "validation_people": 2},
            "stage": [{"epochs": 1, "pixels": 56, "learning_rate": [1e-3, 1e-3], "loss": [{"name": "supcon"}]}],
        }
    )
    faces, split = load_faces(config, tmp_path)
    whose = np.array([key.split("/")[0] for key in faces.keys])
    parts = [set(whose[rows]) for rows in (split.train, split.calibration, split.validation)]
    assert [len(part) for part in parts] == [3, 1, 2]
    assert len(set.union(*parts)) == 6
