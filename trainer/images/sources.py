"""Where a run's images come from, and who of them is used for what."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainer import data
from trainer.config import Config
from trainer.images.folders import read_folder
from trainer.images.handwriting import load_mnist, load_omniglot
from trainer.images.shards import find_shards, read_shards


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
