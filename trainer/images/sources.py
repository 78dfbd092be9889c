"""Where a run's images come from, and who of them is used for what."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from firmware_config.errors import BadState
from trainer import data
from trainer.config import Config
from trainer.images.folders import read_folder
from trainer.images.handwriting import load_mnist, load_omniglot
from trainer.images.shards import find_shards, read_keys, read_shards


def load_faces(config: Config, folder: Path, cache_dir: Path | None = None) -> tuple[data.Faces, data.Split]:
    """The run's images and their split; unnamed images join the training rows. Raises BadInput, LostLink."""
    wanted = config.data
    side = config.stage[0].pixels if config.stage else data.SHARD_SIZE
    if wanted.source == "omniglot":
        return load_omniglot(wanted, folder, side, config.seed)
    if wanted.source == "mnist":
        return load_mnist(wanted, side, config.seed, cache_dir)
    if wanted.source == "att":
        faces = data.read_att(side, cache_dir)
    elif wanted.source == "folder":
        faces, _ = read_folder(folder, None if config.network.for_door else side)
    else:
        faces = read_shards(wanted.urls or find_shards(folder, wanted.named))
    split = data.split_people(faces.identities, config.seed, wanted.calibration_people, wanted.validation_people)
    if wanted.unnamed_images and wanted.source == "shards":
        unnamed = read_shards(find_shards(folder, wanted.unnamed), wanted.unnamed_images)
        added = np.arange(len(faces), len(faces) + len(unnamed))
        faces = data.join(faces, unnamed)
        split = data.Split(np.concatenate([split.train, added]), split.calibration, split.validation)
    return faces, split.checked(faces.identities)


def load_named(config: Config, folder: Path, cache_dir: Path | None = None) -> tuple[data.Faces, data.Split]:
    """The same without the unnamed images, which are for training only and would only take memory."""
    named = config.data.model_copy(update={"unnamed_images": 0})
    return load_faces(config.model_copy(update={"data": named}), folder, cache_dir)


def load_strangers(
    config: Config, images: str, folder: Path, cache_dir: Path | None = None
) -> tuple[data.Faces, data.Split]:
    """`load_named` for whoever measures or packs a run: the people held out are those whom it never learned.

    images: the fingerprint of what it was trained on. A split is drawn from all people there are, so one more or one
    less makes it another one. Raises BadState when the images are not the run's, and as load_faces does.
    """
    faces, split = load_named(config, folder, cache_dir)
    unnamed: tuple[str, ...] = ()
    if config.data.unnamed_images and config.data.source == "shards":
        unnamed = read_keys(find_shards(folder, config.data.unnamed), config.data.unnamed_images)
    keys = tuple(faces.keys[int(row)] for row in split.train) + unnamed
    if data.fingerprint(keys) != images:
        raise BadState(
            f"The run {config.name} was trained on other images than those in {folder}, so nobody among them is known "
            "to be a stranger to it. Name the folder as it was then, with --data; after somebody was added or taken "
            "away, train anew."
        )
    return faces, split
