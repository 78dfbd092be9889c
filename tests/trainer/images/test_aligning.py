"""Photographs become crops once, whatever is among them, and a stopped run goes on."""

from __future__ import annotations

import os
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


def test_no_two_photos_of_a_person_become_one_crop(tmp_path: Path) -> None:
    (tmp_path / "ana").mkdir()
    for name in ("1.jpg", "1.png", "1_2.jpg", "1 2.jpg"):
        (tmp_path / "ana" / name).touch()
    crops = [str(crop) for _, crop in aligning.photographs(tmp_path)]
    assert len(set(crops)) == 4
    assert {"ana/1.webp", "ana/1_2.webp"} < set(crops)


def test_hidden_folders_are_no_people(att: dict[int, list[ImageArray]], tmp_path: Path) -> None:
    for person in ("ana", ".Trash-1000"):
        (tmp_path / person).mkdir()
        cv2.imwrite(str(tmp_path / person / "1.webp"), att[1][0])
    assert [crop.parent.name for _, crop in aligning.photographs(tmp_path)] == ["ana"]
    aligning.write_shards(tmp_path, tmp_path)
    assert (tmp_path / "people.txt").read_text() == "p00000 ana\n"


def test_names_that_are_not_utf_8(att: dict[int, list[ImageArray]], tmp_path: Path) -> None:
    source, target = tmp_path / "photos", tmp_path / "crops"
    person = source / os.fsdecode(b"Jos\xe9")
    person.mkdir(parents=True)
    (person / os.fsdecode(b"caf\xe9.png")).touch()
    (person / "1.png").write_bytes(cv2.imencode(".png", att[1][0])[1].tobytes())
    for found in (1, 0):
        done = aligning.align_folder(source, target, 1)
        assert (done.found["crop"], done.already) == (found, 1 - found)
        assert (target / "unreadable.txt").read_bytes() == b"Jos\xe9/caf\xe9.png\n"
    aligning.write_shards(target, target)
    assert (target / "people.txt").read_bytes() == b"p00000 Jos\xe9\n"


def test_shards_written_again_are_of_those_who_are_there_now(
    att: dict[int, list[ImageArray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aligning, "CROPS_EACH_SHARD", 4)
    for person in (1, 2, 3):
        (tmp_path / str(person)).mkdir()
        for number in range(3):
            crop = cv2.resize(att[person][number], (128, 128))
            cv2.imwrite(str(tmp_path / str(person) / f"{number}.webp"), crop)
    (tmp_path / "faces-of-others-00.tar").touch()
    assert len(aligning.write_shards(tmp_path, tmp_path)) == 3
    for crop in (tmp_path / "1").iterdir():
        crop.unlink()  # the first person has left
    written = aligning.write_shards(tmp_path, tmp_path)
    assert sorted(tmp_path.glob("faces-*.tar")) == [*written, tmp_path / "faces-of-others-00.tar"]
    faces = read_shards([str(path) for path in written])
    assert (len(faces), faces.people) == (6, 2)
    assert (tmp_path / "people.txt").read_text() == "p00000 2\np00001 3\n"
