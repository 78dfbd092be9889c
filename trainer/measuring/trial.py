"""What an evaluation is made of: embeddings of people that the network never learned, and the pairs that count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from device.embed import Encoder
from firmware_config.att import att_faces
from firmware_config.face import FloatArray, ImageArray
from trainer.images.lfw import read_lfw
from trainer.images.shots import crop_all
from trainer.measuring.metrics import PairTable

Embed = Callable[[ImageArray], FloatArray]
"""Pictures as the network takes them -> float32[N, D]."""


@dataclass(frozen=True)
class Trial:
    """One measurement's material.

    embeddings: float32[N, D]; identities: int64[N]; pictures: uint8[N, H, W, C] as the network saw them.
    pairs: int64[P, 2] rows; None for every pair once. folded: the pairs are LFW's ten folds. may_show: the set's
    terms allow its faces in a report. missed: photos in which no face was found. steps: the run's log, if it has one.
    """

    protocol: str
    subject: str
    embeddings: FloatArray
    identities: npt.NDArray[np.int64]
    pictures: ImageArray
    pairs: npt.NDArray[np.int64] | None = None
    folded: bool = False
    may_show: bool = False
    missed: int = 0
    log: list[dict[str, float]] = field(default_factory=list)

    def rows(self) -> npt.NDArray[np.int64]:
        """The pairs that count, int64[P, 2]."""
        if self.pairs is not None:
            return self.pairs
        return np.stack(np.triu_indices(len(self.embeddings), k=1), axis=1).astype(np.int64)

    def distances(self) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Euclidean, float32[P], and whether each pair shows one person, bool[P]; both in the order of `rows`."""
        first, second = self.rows().T
        # A million pairs at a time: rows of two sets of a thousand numbers each would fill the memory.
        parts = [
            np.linalg.norm(
                self.embeddings[first[i : i + 1_000_000]] - self.embeddings[second[i : i + 1_000_000]], axis=1
            )
            for i in range(0, len(first), 1_000_000)
        ]
        same = np.asarray(self.identities[first] == self.identities[second])
        return np.concatenate(parts).astype(np.float32), same

    def table(self) -> PairTable:
        """Distances of genuine and of impostor pairs."""
        distances, same = self.distances()
        return PairTable(distances[same], distances[~same])


def lfw_trial(encoder: Encoder, folder: Path, cache_dir: Path | None = None, grey: bool = False) -> Trial:
    """View 2's pairs, faces found and aligned as at the door.

    grey: the second picture of each pair loses its colours, as under a door's infra-red light; the first keeps
    them, as an enrolment photo has them. Raises BadInput.
    """
    lfw = read_lfw(folder)
    cropped = crop_all(lfw.images, cache_dir)
    crops, identities, pairs = cropped.crops, lfw.identities, lfw.pairs
    if grey:
        probes = pairs[:, 1]
        crops = np.concatenate([crops, greyed(crops[probes])])
        pairs = np.stack([pairs[:, 0], len(lfw.images) + np.arange(len(probes))], axis=1)
        identities = np.concatenate([identities, identities[probes]])
    name = "lfw-grey" if grey else "lfw"
    return Trial(
        name, encoder.encoder_id, embed_all(encoder.embed, crops), identities, crops, pairs, True, missed=cropped.missed
    )


def att_trial(encoder: Encoder, cache_dir: Path | None = None) -> Trial:
    """All pairs of the 400 AT&T photos, as at the door. Raises LostLink when they cannot be fetched."""
    people = att_faces(cache_dir)
    photos = [cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR) for row in people.values() for photo in row]
    cropped = crop_all(photos, cache_dir)
    identities = np.repeat(np.arange(len(people)), [len(row) for row in people.values()]).astype(np.int64)
    embeddings = embed_all(encoder.embed, cropped.crops)
    return Trial("att", encoder.encoder_id, embeddings, identities, cropped.crops, may_show=True, missed=cropped.missed)


def greyed(crops: ImageArray) -> ImageArray:
    """uint8[N, H, W, 3] RGB -> the same shape, three times its luma (Rec. 601)."""
    luma = np.stack([np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)) for crop in crops])
    return np.repeat(luma[..., np.newaxis], 3, axis=3)


def embed_all(embed: Embed, pictures: ImageArray, batch: int = 64) -> FloatArray:
    """A batch at a time -> float32[N, D]."""
    return np.concatenate(
        [embed(np.ascontiguousarray(pictures[i : i + batch])) for i in range(0, len(pictures), batch)]
    )
