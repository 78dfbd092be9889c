"""Who is measured as a stranger to a run is one: the split is drawn from the images that it was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from firmware_config.errors import BadState
from trainer.config import Config
from trainer.images.sources import load_faces, load_strangers


def test_the_runs_own_images_are_told_by_their_names_without_the_unnamed_ones_in_memory(
    tiny_door: Config, shard_folder: Path
) -> None:
    faces, split = load_faces(tiny_door, shard_folder)
    images = faces.take(split.train).fingerprint()
    named, again = load_strangers(tiny_door, images, shard_folder)
    assert not any(key.startswith("ff-") for key in named.keys)
    assert named.take(again.validation).keys == faces.take(split.validation).keys


@pytest.mark.parametrize("gone", ["faces-celeba-01.tar", "faces-celeba-00.tar"])
def test_with_one_image_less_nobody_is_known_to_be_a_stranger(
    tiny_door: Config, shard_folder: Path, tmp_path: Path, gone: str
) -> None:
    faces, split = load_faces(tiny_door, shard_folder)
    images = faces.take(split.train).fingerprint()
    shutil.copytree(shard_folder, tmp_path / "now")
    (tmp_path / "now" / gone).unlink()
    with pytest.raises(BadState, match="trained on other images than those in"):
        load_strangers(tiny_door, images, tmp_path / "now")


def test_other_unnamed_images_are_other_images_too(tiny_door: Config, shard_folder: Path) -> None:
    faces, split = load_faces(tiny_door, shard_folder)
    images = faces.take(split.train).fingerprint()
    more = tiny_door.model_copy(update={"data": tiny_door.data.model_copy(update={"unnamed_images": 5})})
    with pytest.raises(BadState, match="other images"):
        load_strangers(more, images, shard_folder)
