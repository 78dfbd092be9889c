"""MNIST's digits and Omniglot's characters as sets to train on, with the new characters that are made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from trainer.config import Data
from trainer.data import Faces, Split, join
from trainer.images.drawings import composed_characters, normalised, thickened, turned_characters
from trainer.images.mnist import read_mnist
from trainer.images.omniglot import read_background

COMPOSED_EACH: Final = 20
"""Drawings of a composed character, as many as Omniglot has of each."""


def as_seen(drawing: ImageArray, settings: Data, size: int, strange: bool = False) -> ImageArray:
    """A drawing as a network of this data sees it: uint8[H, W], ink bright -> uint8[size, size].

    strange: it is Omniglot's and the network learned from MNIST, whose pen is thicker.
    """
    if strange:
        drawing = thickened(drawing)
    if settings.centred:
        return normalised(drawing, size)
    return np.asarray(cv2.resize(drawing, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def load_omniglot(settings: Data, folder: Path, size: int, seed: int) -> tuple[Faces, Split]:
    """The background characters: those of the alphabets in `held_out` validate, the others train and are made more.

    Raises BadInput when the files are not in `folder`, or there is no such alphabet.
    """
    drawings = read_background(folder)
    alphabets = {drawing.alphabet for drawing in drawings}
    if unknown := set(settings.held_out) - alphabets:
        raise BadInput(f"There is no alphabet {min(unknown)!r} to hold out; there are {', '.join(sorted(alphabets))}.")
    pixels = np.stack([as_seen(drawing.pixels, settings, size) for drawing in drawings])[..., None]
    names = [f"{drawing.alphabet}/{drawing.character}" for drawing in drawings]
    identities = np.unique(names, return_inverse=True)[1].astype(np.int64)
    keys = tuple(f"{drawing.alphabet}/{drawing.character}/{drawing.drawer}" for drawing in drawings)
    held_out = np.array([drawing.alphabet in settings.held_out for drawing in drawings])
    return _made_more(Faces(pixels, identities, keys), held_out, settings, seed)


def load_mnist(settings: Data, size: int, seed: int, cache_dir: Path | None = None) -> tuple[Faces, Split]:
    """The first `digits` drawings of each digit train, and what is made of them. Nobody validates: Omniglot's
    background characters are for that. Raises LostLink when MNIST cannot be fetched."""
    images, labels = read_mnist(cache_dir)
    rows = np.sort(np.concatenate([np.flatnonzero(labels == digit)[: settings.digits] for digit in range(10)]))
    pixels = np.stack([as_seen(images[row], settings, size) for row in rows])[..., None]
    keys = tuple(f"mnist-{labels[row]}-{row:05d}" for row in rows)
    drawings = Faces(pixels, labels[rows].astype(np.int64), keys)
    return _made_more(drawings, np.zeros(len(rows), dtype=np.bool_), settings, seed)


def _made_more(
    drawings: Faces, held_out: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], settings: Data, seed: int
) -> tuple[Faces, Split]:
    """New characters come of those that train alone."""
    known, strangers = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    learned = drawings.take(known)
    faces = turned_characters(learned, settings.ways)
    if settings.composed:
        faces = join(faces, composed_characters(learned, settings.composed, COMPOSED_EACH, seed))
    training = np.arange(len(faces))
    if len(strangers):
        faces = join(faces, drawings.take(strangers))
    split = Split(training, np.array([], dtype=np.int64), np.arange(len(training), len(faces)))
    return faces, split.checked(faces.identities)
