"""Photographs become crops once, whatever is among them, and a stopped run goes on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from device.align import align
from device.detect import Detector
from firmware_config.errors import BadInput, DiskFault
from firmware_config.face import ImageArray
from trainer.cli import main
from trainer.data import BORDER
from trainer.images import aligning
from trainer.images.shards import find_shards, read_shards


@pytest.fixture
def photos(att: dict[int, list[ImageArray]], tmp_path: Path) -> Path:
    """Two people of AT&T in folders, and what else lies in people's folders."""
    source = tmp_path / "photos"
    for person in (1, 2):
        (source / f"person {person}").mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(source / f"person {person}" / f"{number}.png"), att[person][number])
    first, second = (cv2.resize(att[person][0], None, fx=2, fy=2) for person in (1, 2))
    both = np.full((260, 520), 128, dtype=np.uint8)
    both[10:234, 20:204] = first
    both[100:212, 300:392] = cv2.resize(second, (92, 112))
    cv2.imwrite(str(source / "person 1" / "0.jpg"), both)  # the same name but for its ending
    wall = np.full((300, 300, 3), 90, dtype=np.uint8)
    cv2.imwrite(str(source / "person 2" / "wall.jpg"), wall)
    (source / "person 2" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (source / "person 2" / "empty.png").touch()
    (source / "person 2" / "notes.txt").write_text("not a picture")
    (source / "nobody").mkdir()
    return source


def crops_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.webp"))


def test_a_folder_of_photographs(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "crops"
    arguments = ["align", str(photos), str(target), "--workers", "1", "--shards"]
    assert main(arguments) == 0
    assert "5 crops written (1 of the largest of several faces), 0 were there; 1 photos" in capsys.readouterr().out
    assert crops_in(target) == [
        "person 1/0.webp",
        "person 1/0_2.webp",
        "person 1/1.webp",
        "person 2/0.webp",
        "person 2/1.webp",
    ]
    assert (target / "no-face.txt").read_text() == "person 2/wall.jpg\n"
    assert (target / "unreadable.txt").read_text() == "person 2/empty.png\nperson 2/torn.jpg\n"
    faces = read_shards(find_shards(target, "faces"))
    assert (faces.pixels.shape, faces.people) == ((5, 128, 128, 3), 2)
    assert (target / "people.txt").read_text() == "p00000 person 1\np00001 person 2\n"

    (target / "person 1" / "1.webp").unlink()  # as if it had been stopped before this one
    before = (target / "person 2" / "0.webp").stat().st_mtime_ns
    assert main(arguments) == 0
    assert "1 crops written (0 of the largest of several faces), 4 were there; 1 photos" in capsys.readouterr().out
    assert len(crops_in(target)) == 5
    assert (target / "person 2" / "0.webp").stat().st_mtime_ns == before


def test_the_crop_is_the_door_s_with_a_border(att: dict[int, list[ImageArray]], detector: Detector) -> None:
    photo = np.asarray(cv2.resize(cv2.cvtColor(att[3][0], cv2.COLOR_GRAY2BGR), None, fx=3, fy=3), dtype=np.uint8)
    framed = np.asarray(cv2.copyMakeBorder(photo, 90, 90, 90, 90, cv2.BORDER_REPLICATE), dtype=np.uint8)
    found = aligning.crop_of(framed, detector)
    assert found is not None
    crop, faces = found
    assert faces == 1
    at_the_door = align(framed, detector.detect(framed)[0].landmarks)
    middle = crop[BORDER:-BORDER, BORDER:-BORDER]
    # OpenCV rounds where a pixel comes from to a thirty-second.
    assert np.abs(middle.astype(int) - at_the_door.astype(int)).mean() < 0.5


def test_the_largest_of_several_faces_is_taken(photos: Path, detector: Detector) -> None:
    both = cv2.imread(str(photos / "person 1" / "0.jpg"))
    alone = both.copy()
    alone[:, 260:] = 128
    several, one = (aligning.crop_of(np.asarray(image, dtype=np.uint8), detector) for image in (both, alone))
    assert several is not None
    assert one is not None
    assert (several[1], one[1]) == (2, 1)
    assert np.abs(several[0].astype(int) - one[0].astype(int)).mean() < 12


def test_no_photographs_are_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in (tmp_path / "nowhere", tmp_path):
        assert main(["align", str(source), str(tmp_path / "crops")]) == 2
        assert "a folder of pictures for each person" in capsys.readouterr().err
    with pytest.raises(BadInput, match="no crops"):
        aligning.write_shards(tmp_path, tmp_path)


def test_a_full_disk_is_a_sentence(
    att: dict[int, list[ImageArray]], tmp_path: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), att[1][0])
    (tmp_path / "crops").touch()  # a file where a folder should be: writing fails as on a full disk
    monkeypatch.setattr(aligning, "_detector", detector)
    with pytest.raises(DiskFault, match="the same command goes on"):
        aligning._crop(tmp_path / "photo.png", tmp_path / "crops" / "photo.webp")
