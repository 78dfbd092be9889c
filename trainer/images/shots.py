"""Photos that were cut close around one face, as the published sets cut them, and the face that a door would find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from device.align import align
from device.detect import Detector, Face
from device.detector_file import detector_model
from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE, TEMPLATE, ImageArray

MARGIN_SHARE: Final = 0.25
"""Border added on each side before detection, of the image's side: both sets cut faces so close that the
detector wants more around them."""

FALLBACK_SCALE: Final = 0.75
"""Where no face is found: the template over three quarters of the image, as both sets are framed."""


@dataclass(frozen=True)
class Shot:
    """image: uint8[H, W, 3] BGR with a border; face: where in it. found: by the detector, not guessed."""

    image: ImageArray
    face: Face
    found: bool


@dataclass(frozen=True)
class Cropped:
    """crops: uint8[N, 112, 112, 3] RGB; missed: how many had no face found and were cut by their middle."""

    crops: ImageArray
    missed: int


def shoot(images: list[ImageArray], cache_dir: Path | None = None) -> list[Shot]:
    """The most central face of each. images: uint8[H, W, 3] BGR. Raises LostLink without the detector's file."""
    detector = Detector(detector_model(cache_dir))
    return [_shot(image, detector) for image in images]


def crop_all(images: list[ImageArray], cache_dir: Path | None = None) -> Cropped:
    """As `shoot`, aligned, one picture in memory at a time."""
    detector = Detector(detector_model(cache_dir))
    crops = np.empty((len(images), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    missed = 0
    for row, image in enumerate(images):
        shot = _shot(image, detector)
        missed += not shot.found
        crops[row] = align(shot.image, shot.face.landmarks)
    return Cropped(crops, missed)


def read_photo(path: Path) -> ImageArray:
    """A photo file -> uint8[H, W, 3] BGR. Raises BadInput."""
    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except cv2.error as error:
        raise BadInput(f"{path} is empty.") from error
    if image is None:
        raise BadInput(f"{path} is not an image that can be read.")
    return np.asarray(image, dtype=np.uint8)


def _shot(image: ImageArray, detector: Detector) -> Shot:
    border = round(max(image.shape[:2]) * MARGIN_SHARE)
    framed = np.asarray(cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE), dtype=np.uint8)
    middle = np.array([framed.shape[1], framed.shape[0]], dtype=np.float32) / 2.0
    found = detector.detect(framed)
    if found:
        face = min(found, key=lambda each: float(np.linalg.norm(each.landmarks.mean(axis=0) - middle)))
    else:
        scale = min(image.shape[:2]) / CROP_SIZE * FALLBACK_SCALE
        points = ((TEMPLATE - TEMPLATE.mean(axis=0)) * scale + middle).astype(np.float32)
        low, high = points.min(axis=0) - 20 * scale, points.max(axis=0) + 20 * scale
        face = Face((float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])), points, 0.0)
    return Shot(framed, face, bool(found))
