"""What counts as a picture and as a person in a folder that people and their programs put together."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer.images.aligning import photographs
from trainer.images.files import people_in, pictures_below, pictures_in
from trainer.images.folders import read_folder

GREY = np.full((20, 20), 128, dtype=np.uint8)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """Two people's photos, copied by macOS, and looked at with a file manager."""
    for person in ("Ada", "Bo"):
        album = tmp_path / person / "album"
        album.mkdir(parents=True)
        for folder in (tmp_path / person, album):
            cv2.imwrite(str(folder / "photo.JPG.jpg"), GREY)
            (folder / "._photo.JPG.jpg").write_bytes(b"\x00\x05\x16\x07")
            (folder / "list.txt").write_text("no picture")
        (tmp_path / person / ".thumbnails").mkdir()
        cv2.imwrite(str(tmp_path / person / ".thumbnails" / "photo.png"), GREY)
        (tmp_path / person / "folder.jpg").mkdir()
    (tmp_path / ".Trashes").mkdir()
    return tmp_path


def test_what_is_hidden_is_no_picture_and_nobody(stick: Path) -> None:
    assert [path.name for path in people_in(stick)] == ["Ada", "Bo"]
    assert pictures_in(stick / "Ada") == [stick / "Ada" / "photo.JPG.jpg"]
    assert pictures_below(stick / "Bo") == [stick / "Bo" / "album" / "photo.JPG.jpg", stick / "Bo" / "photo.JPG.jpg"]


def test_a_folder_below_a_hidden_one_is_as_good_as_any(tmp_path: Path) -> None:
    photo = tmp_path / ".cache" / "Ada" / "photo.png"
    photo.parent.mkdir(parents=True)
    photo.touch()
    assert pictures_below(photo.parent) == [photo]


def test_training_and_aligning_take_the_same_pictures(stick: Path) -> None:
    faces, left_out = read_folder(stick, size=10)
    assert faces.keys == ("Ada/photo.JPG.jpg", "Bo/photo.JPG.jpg")
    assert not left_out.images, "what macOS put there is not said to be a picture that cannot be read"
    assert [str(crop) for _, crop in photographs(stick)] == [
        "Ada/album_photo_JPG.webp",
        "Ada/photo_JPG.webp",
        "Bo/album_photo_JPG.webp",
        "Bo/photo_JPG.webp",
    ]
