"""Images of people, and who of them is used for what. shards.py and folders.py read more than the AT&T faces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from firmware_config.att import att_faces
from firmware_config.errors import BadInput, BadState
from firmware_config.face import CROP_SIZE, ImageArray

IntArray = npt.NDArray[np.int64]

KEYS_SHOWN: Final = 16
"""Of a fingerprint's characters, in a calibration that says whose images made it."""

SHARD_SIZE: Final = 128
"""Side of a crop in the shards, pixels: the door's 112 and 8 more on every side."""

BORDER: Final = (SHARD_SIZE - CROP_SIZE) // 2
"""What a shard's crop has more than the door's, pixels on every side."""


@dataclass(frozen=True)
class Faces:
    """pixels: uint8[M, S, S, C], 0 to 255; identities: int64[M], 0 to people - 1; keys: M names."""

    pixels: ImageArray
    identities: IntArray
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def people(self) -> int:
        return int(self.identities.max()) + 1 if len(self.keys) else 0

    def fingerprint(self) -> str:
        """sha256 over the keys: which images, in which order. Pixels are the shards' own affair."""
        return fingerprint(self.keys)

    def take(self, rows: IntArray) -> Faces:
        """The images at these rows, with identities numbered anew from 0 in the order of their old numbers."""
        _, identities = np.unique(self.identities[rows], return_inverse=True)
        return Faces(self.pixels[rows], identities.astype(np.int64), tuple(self.keys[int(row)] for row in rows))

    def centre(self) -> ImageArray:
        """What a door would have cut out of each: uint8[M, 112, 112, 3]. A view, nothing is copied."""
        return self.pixels[:, BORDER : BORDER + CROP_SIZE, BORDER : BORDER + CROP_SIZE]


def fingerprint(keys: Iterable[str]) -> str:
    """sha256 over keys, in their order. A name that is not UTF-8 counts with its bytes as they are on the disk."""
    return hashlib.sha256("\n".join(keys).encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Split:
    """Rows of a Faces. No person is in two of them."""

    train: IntArray
    calibration: IntArray
    validation: IntArray

    def checked(self, identities: IntArray) -> Split:
        """Itself. Raises BadState when somebody is in two parts: whatever is measured then is worth nothing."""
        parts = {"train": self.train, "calibration": self.calibration, "validation": self.validation}
        for first, second in combinations(parts, 2):
            shared = np.intersect1d(identities[parts[first]], identities[parts[second]])
            if len(shared):
                raise BadState(f"{len(shared)} people are in both {first} and {second} of a split, {shared[0]} first.")
        return self


def read_att(size: int, cache_dir: Path | None = None) -> Faces:
    """The 400 AT&T photos, grey, squeezed to size x size as the articles do: uint8[400, size, size, 1].

    Identities 0 to 39 in the order of the set. Raises LostLink when the set cannot be fetched.
    """
    people = att_faces(cache_dir)
    photos = [(person, number, photo) for person, row in people.items() for number, photo in enumerate(row)]
    pixels = np.stack([cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA) for _, _, photo in photos])[
        ..., np.newaxis
    ]
    keys = tuple(f"att-{person:02d}-{number:02d}" for person, number, _ in photos)
    return Faces(pixels, np.array([person - 1 for person, _, _ in photos], dtype=np.int64), keys)


def join(first: Faces, second: Faces) -> Faces:
    """Both sets as one, the second's people after the first's."""
    return Faces(
        np.concatenate([first.pixels, second.pixels]),
        np.concatenate([first.identities, second.identities + first.people]),
        first.keys + second.keys,
    )


def split_people(
    identities: IntArray, seed: int, calibration: int, validation: int, singles_share: float = 0.25
) -> Split:
    """Who trains, who calibrates, who validates: disjoint people, the same for the same seed.

    calibration, validation: how many people with two or more images each. Of the people with one image,
    `singles_share` calibrates too (impostors only need one) and the rest trains. Raises BadInput.
    """
    random = np.random.default_rng(seed)
    counts = np.bincount(identities)
    several = random.permutation(np.flatnonzero(counts >= 2))
    single = random.permutation(np.flatnonzero(counts == 1))
    if calibration + validation >= len(several):
        raise BadInput(f"{calibration} people to calibrate and {validation} to validate leave none of {len(several)}.")
    singles = single[: int(len(single) * singles_share)]
    calibrating = np.concatenate([several[:calibration], singles])
    validating = several[calibration : calibration + validation]
    held_out = np.concatenate([calibrating, validating])
    return Split(
        train=np.flatnonzero(~np.isin(identities, held_out)),
        calibration=np.flatnonzero(np.isin(identities, calibrating)),
        validation=np.flatnonzero(np.isin(identities, validating)),
    ).checked(identities)
