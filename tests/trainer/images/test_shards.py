"""Shards are read whole and alike, wherever they come from, or refused with a sentence."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware_config.errors import BadInput, LostLink
from trainer import data
from trainer.images.shards import find_shards, read_shards


def test_shards_are_read_in_the_order_of_their_keys(shard_folder: Path) -> None:
    faces = read_shards(find_shards(shard_folder, "faces-celeba"))
    assert faces.pixels.shape == (52, 128, 128, 3)
    assert list(faces.keys) == sorted(faces.keys)
    assert faces.people == 16
    assert np.bincount(faces.identities).tolist() == [4] * 12 + [1] * 4
    assert faces.centre().shape == (52, 112, 112, 3)


def test_images_without_identity_are_people_of_their_own(shard_folder: Path) -> None:
    unnamed = read_shards(find_shards(shard_folder, "faces-fairface"), limit=5)
    assert unnamed.people == len(unnamed) == 5
    both = data.join(read_shards(find_shards(shard_folder, "faces-celeba")), unnamed)
    assert both.people == 21
    assert both.identities[-5:].tolist() == [16, 17, 18, 19, 20]


def test_missing_shards_name_the_option(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--data DIR"):
        find_shards(tmp_path, "faces-celeba")


def test_a_shard_without_images_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "faces-celeba-00.tar", "w") as archive:
        entry = tarfile.TarInfo("ca-00001-000001.txt")
        archive.addfile(entry)
    with pytest.raises(BadInput, match="webp"):
        read_shards(find_shards(tmp_path, "faces-celeba"))


@pytest.mark.parametrize("left", [0.1, 0.5, 0.99])
def test_shard_cut_short_is_refused(shard_folder: Path, tmp_path: Path, left: float) -> None:
    whole = (shard_folder / "faces-celeba-00.tar").read_bytes()
    path = tmp_path / "faces-celeba-00.tar"
    path.write_bytes(whole[: int(len(whole) * left)])
    with pytest.raises(BadInput, match=r"faces-celeba-00\.tar is cut short"):
        read_shards([str(path)])


def test_shard_cut_between_two_samples_is_refused_too(shard_folder: Path, tmp_path: Path) -> None:
    source = shard_folder / "faces-celeba-00.tar"
    with tarfile.open(source) as archive:
        begin_of_the_third = archive.getmembers()[2].offset
    path = tmp_path / "faces-celeba-00.tar"
    path.write_bytes(source.read_bytes()[:begin_of_the_third])
    with pytest.raises(BadInput, match="cut short"):
        read_shards([str(path)])


def test_image_that_cannot_be_read_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (128, 128), (200, 10, 10)).save(picture, "png")
    path = tmp_path / "own-00.tar"
    with tarfile.open(path, "w") as archive:
        for key, content in (("a-1", picture.getvalue()), ("a-2", picture.getvalue()[:60]), ("b-1", b"")):
            entry = tarfile.TarInfo(f"{key}.png")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    faces = read_shards([str(path)])
    assert faces.keys == ("a-1",)
    assert (faces.pixels[0, 5, 5] == (200, 10, 10)).all()
    assert "2 of 3 images in shards cannot be read" in caplog.text


def test_shards_come_from_a_command_as_from_a_file(shard_folder: Path) -> None:
    piped = read_shards([f"pipe:cat {shard_folder}/faces-celeba-{{00..01}}.tar"])
    from_disk = read_shards(find_shards(shard_folder, "faces-celeba"))
    assert piped.keys == from_disk.keys
    assert (piped.pixels == from_disk.pixels).all()


@pytest.mark.parametrize("address", ["pipe:false", "pipe:cat /nowhere/x.tar", "/nowhere/x.tar"])
def test_shard_that_does_not_come_is_said(address: str) -> None:
    with pytest.raises((LostLink, BadInput), match=r"The shard .* (did not come|is cut short)"):
        read_shards([address])


def test_key_that_is_there_twice_is_refused(shard_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other-00.tar"
    with tarfile.open(shard_folder / "faces-celeba-01.tar") as archive, tarfile.open(other, "w") as copy:
        entry = archive.getmembers()[3]
        copy.addfile(entry, archive.extractfile(entry))
    with pytest.raises(BadInput, match=rf"The key {entry.name.removesuffix('.webp')} is twice"):
        read_shards([*find_shards(shard_folder, "faces-celeba"), str(other)])
    with tarfile.open(other, "w") as copy:
        for _ in range(2):
            copy.addfile(tarfile.TarInfo("ana-1.webp"))
    with pytest.raises(BadInput, match=r"ana-1\.webp is twice in the shard"):
        read_shards([str(other)])
