"""Handwriting for siamese networks: drawings brought to one size, and new characters made of known ones."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray
from trainer.data import Faces, IntArray

SPREAD: Final = 0.21
"""Of the side: the ink's standard deviation after `normalised`. A full square of ink would fill 0.73 of the side."""

ASPECT_KEPT: Final = 0.5
"""How much of its proportions a drawing keeps: 1 all, 0 none. A wide hand makes the same letter as a narrow one."""

PEN_OF_MNIST: Final = 7
"""Diameter, in pixels of Omniglot's 105, of the pen that makes its strokes as thick for their character's size as
MNIST's: 1.2 of the ink's deviation, measured over 300 digits and 242 background characters (0.5 without)."""

PARTS_APART: Final = (0.1, 0.5)
"""How far from the middle each part of a composed character lies, of half the side."""

PARTS_SHRUNK: Final = (1.1, 1.9)
"""What each side of a part is divided by."""


def normalised(drawing: ImageArray, size: int) -> ImageArray:
    """Ink moved to the middle and scaled to one spread. uint8[H, W], ink bright -> uint8[size, size].

    Raises BadInput for an empty drawing. Moments rather than the box around it: one long stroke moves them little.
    """
    ink = drawing.astype(np.float32) / 255.0
    mass = float(ink.sum())
    if mass <= 0.0:
        raise BadInput("A drawing without ink cannot be centred.")
    across, down = ink.sum(axis=0), ink.sum(axis=1)
    spread, middle = np.empty(2), np.empty(2)
    for axis, profile in enumerate((across, down)):
        places = np.arange(len(profile))
        middle[axis] = float((profile * places).sum()) / mass
        spread[axis] = np.sqrt(float((profile * (places - middle[axis]) ** 2).sum()) / mass) + 1.0  # a bar has some too
    both = np.sqrt((spread**2).mean())
    scale = size * SPREAD / (both**ASPECT_KEPT * spread ** (1.0 - ASPECT_KEPT))
    place = np.hstack([np.diag(scale), ((size - 1) / 2 - scale * middle)[:, None]])
    smooth = cv2.GaussianBlur(ink, (0, 0), max(0.3, 0.4 / float(scale.max())))  # no strokes lost between pixels
    moved = cv2.warpAffine(smooth, place, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(np.clip(moved * 255.0, 0, 255), dtype=np.uint8)


def thickened(drawing: ImageArray, pen: int = PEN_OF_MNIST) -> ImageArray:
    """The same drawn with a round pen of this diameter. uint8[H, W] -> the same shape."""
    return np.asarray(cv2.dilate(drawing, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pen, pen))), dtype=np.uint8)


def turned(drawing: ImageArray, way: int) -> ImageArray:
    """One of eight ways to lay a square: 0 to 3 quarter turns, 4 to 7 mirrored besides. uint8[S, S]."""
    mirrored = drawing[:, ::-1] if way >= 4 else drawing
    return np.ascontiguousarray(np.rot90(mirrored, way % 4))


def turned_characters(drawings: Faces, ways: int) -> Faces:
    """Each character laid in so many ways, each a character of its own: ways times the drawings.

    drawings: uint8[N, S, S, 1]. The first N rows are the drawings as they were. Raises BadInput for other ways than 1,
    4 (quarter turns) and 8 (mirrored too).
    """
    if ways not in (1, 4, 8):
        raise BadInput(f"Characters are laid in 1, 4 or 8 ways, not {ways}.")
    pixels = np.concatenate([np.stack([turned(each[..., 0], way) for each in drawings.pixels]) for way in range(ways)])
    identities = np.concatenate([drawings.identities + way * drawings.people for way in range(ways)])
    keys = tuple(key if way == 0 else f"{key}-turned{way}" for way in range(ways) for key in drawings.keys)
    return Faces(pixels[..., None], identities, keys)


def composed_characters(drawings: Faces, characters: int, each: int, seed: int) -> Faces:
    """New characters, each put together from two known ones in places of its own, in so many drawings.

    drawings: uint8[N, S, S, 1] -> uint8[characters * each, S, S, 1]. Every drawing of a new character takes its parts
    from two drawings of the known ones, by whatever hands, so they differ as a person's strokes do.
    """
    random = np.random.default_rng(seed)
    size = drawings.pixels.shape[1]
    rows = [np.flatnonzero(drawings.identities == person) for person in range(drawings.people)]
    pixels = np.empty((characters * each, size, size, 1), dtype=np.uint8)
    for number in range(characters):
        known = random.integers(len(rows), size=2)
        ways = random.integers(8, size=2)
        places = [_place(size, side, upright, random) for upright in [random.random() < 0.5] for side in (-1.0, 1.0)]
        for copy in range(each):
            ink = np.zeros((size, size), dtype=np.float32)
            for character, way, place in zip(known, ways, places, strict=True):
                drawing = turned(drawings.pixels[random.choice(rows[character]), ..., 0], int(way))
                part = cv2.warpAffine(drawing.astype(np.float32), _shaken(place, size, random), (size, size))
                ink = np.maximum(ink, part)
            pixels[number * each + copy, ..., 0] = normalised(ink.astype(np.uint8), size)
    identities: IntArray = np.repeat(np.arange(characters), each).astype(np.int64)
    keys = tuple(f"composed-{seed}-{number:05d}-{copy:02d}" for number in range(characters) for copy in range(each))
    return Faces(pixels, identities, keys)


def _place(size: int, side: float, upright: bool, random: np.random.Generator) -> FloatArray:
    """Where one part goes: float[2, 3], shrunk, left or right of the middle, or above or below it."""
    scale = 1.0 / random.uniform(*PARTS_SHRUNK, size=2)
    off = side * random.uniform(*PARTS_APART) * size / 2.0 * np.array([0.2, 1.0] if upright else [1.0, 0.2])
    middle = (size - 1) / 2.0
    return np.hstack([np.diag(scale), (middle - scale * middle + off)[:, None]]).astype(np.float32)


def _shaken(place: FloatArray, size: int, random: np.random.Generator) -> FloatArray:
    """The same place as another hand would hit it: some degrees, a tenth of the size, some pixels off."""
    turn, shear = random.uniform(-0.14, 0.14), random.uniform(-0.1, 0.1)
    hand = np.array([[np.cos(turn), -np.sin(turn) + shear], [np.sin(turn), np.cos(turn)]]) * random.uniform(0.9, 1.1, 2)
    middle = np.full(2, (size - 1) / 2.0)
    off = middle - hand @ middle + random.uniform(-0.03, 0.03, 2) * size
    return np.hstack([place[:, :2] @ hand, (place[:, :2] @ off + place[:, 2])[:, None]]).astype(np.float32)
