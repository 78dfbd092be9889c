"""How far a detector's five points, and the crop that they cut, move when the picture is changed a little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.faces import Shot
from device.align import similarity
from device.detect import Face
from firmware_config.face import CROP_SIZE, TEMPLATE, FloatArray, ImageArray

Detect = Callable[[ImageArray], list[Face]]
Change = Callable[[ImageArray, np.random.Generator], tuple[ImageArray, NDArray[np.float64]]]
"""image, random -> the changed image and float64[2, 3], where each of its points came from."""

STILL: Final = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
SHIFT_SHARE: Final = 0.06
"""Of the image's side, at most, either way: two of the coarsest anchors are ten per cent apart at 320 pixels."""
NEAR: Final = (0.8, 1.25)
"""Scales: half a step nearer or farther."""
FAR: Final = (0.3, 0.5)
"""Scales of a face at the far end of where a door looks: eyes 12 to 25 pixels apart in the detector's input."""


def shifted(image: ImageArray, random: np.random.Generator) -> tuple[ImageArray, NDArray[np.float64]]:
    """Somewhere else in the frame, by parts of a pixel too."""
    return _warped(image, 1.0, random.uniform(-SHIFT_SHARE, SHIFT_SHARE, 2) * max(image.shape))


def scaled(image: ImageArray, random: np.random.Generator) -> tuple[ImageArray, NDArray[np.float64]]:
    """A little nearer or farther."""
    return _warped(image, float(np.exp(random.uniform(*np.log(NEAR)))), np.zeros(2))


def far(image: ImageArray, random: np.random.Generator) -> tuple[ImageArray, NDArray[np.float64]]:
    """Much farther, in a frame of the same size, somewhere in it."""
    scale = float(random.uniform(*FAR))
    return _warped(image, scale, random.uniform(-SHIFT_SHARE, SHIFT_SHARE, 2) * max(image.shape))


def lit(image: ImageArray, random: np.random.Generator) -> tuple[ImageArray, NDArray[np.float64]]:
    """Contrast by three tenths and brightness by 40 grey levels, either way: what the trainer's looks do, and some."""
    gain, offset = random.uniform(0.7, 1.3), random.uniform(-40, 40)
    return np.clip(image.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8), STILL


CHANGES: Final[dict[str, Change]] = {"shifted": shifted, "scaled": scaled, "brightened": lit, "far": far}


@dataclass(frozen=True)
class Moved:
    """What one change did, in pixels of the 112 crop that the first look's points cut.

    points: float64[5], how far each point went; turn: degrees, zoom: share, shift: pixels along x and y: how the crop
    cut by the second look lies in that of the first. landmarks: float32[5, 2], the second look's, in the first image.
    """

    points: NDArray[np.float64]
    turn: float
    zoom: float
    shift: NDArray[np.float64]
    landmarks: FloatArray


def moved(shot: Shot, detect: Detect, change: Change, random: np.random.Generator) -> Moved | None:
    """Looks again at the changed image; None where the detector no longer finds the face."""
    image, back = change(shot.image, random)
    was = np.linalg.inv(np.vstack([back, [0.0, 0.0, 1.0]]))[:2]
    expected = shot.face.landmarks @ was[:, :2].T + was[:, 2]
    found = detect(image)
    if not found:
        return None
    face = min(found, key=lambda each: float(np.linalg.norm(each.landmarks.mean(axis=0) - expected.mean(axis=0))))
    again = (face.landmarks @ back[:, :2].T + back[:, 2]).astype(np.float32)
    return between(shot.face.landmarks, again)


def between(first: FloatArray, second: FloatArray) -> Moved | None:
    """Two sets of five points of one face, float32[5, 2] pixels of one image. None: they are of two faces."""
    crop, other = (_square(similarity(points, TEMPLATE)) for points in (first, second))
    scale = float(np.hypot(crop[0, 0], crop[1, 0]))
    points = np.linalg.norm(first - second, axis=1) * scale
    if points.mean() > CROP_SIZE / 3:
        return None
    # Where the second crop's grid lies in the first crop.
    lies = crop @ np.linalg.inv(other)
    middle = np.array([(CROP_SIZE - 1) / 2, (CROP_SIZE - 1) / 2, 1.0])
    return Moved(
        points,
        float(np.degrees(np.arctan2(lies[1, 0], lies[0, 0]))),
        float(np.hypot(lies[0, 0], lies[1, 0])) - 1.0,
        (lies @ middle - middle)[:2],
        second,
    )


def _warped(image: ImageArray, scale: float, shift: NDArray[np.float64]) -> tuple[ImageArray, NDArray[np.float64]]:
    middle = np.array([image.shape[1] - 1, image.shape[0] - 1]) / 2
    there = np.column_stack([np.eye(2) * scale, middle - scale * middle + shift])
    if scale < 1.0:  # bilinear warping skips pixels when it shrinks; a camera's sensor averages
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1) + 1e-3), dtype=np.uint8)
    size = (image.shape[1], image.shape[0])
    changed = cv2.warpAffine(image, there, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(changed, dtype=np.uint8), np.linalg.inv(_square(there))[:2]


def _square(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.vstack([matrix, [0.0, 0.0, 1.0]]).astype(np.float64)
