"""What spoils a picture at a door, in graded steps: the same crop at two of them says which one is worse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import ImageArray

LEVELS: Final = 5
"""Steps of each distortion, 1 barely seen to 5 hardly a face; 0 is the crop as it is."""

BLUR_SIGMA_PX: Final = (0.7, 1.3, 2.0, 3.0, 4.5)
"""Of the 112. The door's own limit of sharpness refuses about half at 2.2."""

NOISE_LEVELS: Final = (6.0, 12.0, 20.0, 32.0, 48.0)
"""Standard deviation, grey levels."""

DARK_GAIN: Final = (0.6, 0.4, 0.26, 0.16, 0.09)
"""Of the light. With it come DARK_NOISE grey levels that a sensor adds whatever the light."""
DARK_NOISE: Final = 2.5

JPEG_QUALITY: Final = (50, 28, 16, 9, 5)

SMALL_PX: Final = (76, 54, 38, 28, 20)
"""Side that the crop is shrunk to and enlarged from again, of 112."""


def blur(crop: ImageArray, level: int, random: np.random.Generator) -> ImageArray:  # noqa: ARG001
    """Out of focus: a Gaussian."""
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), BLUR_SIGMA_PX[level - 1]), dtype=np.uint8)


def noise(crop: ImageArray, level: int, random: np.random.Generator) -> ImageArray:
    """A sensor turned up: Gaussian noise, each pixel and colour apart."""
    return _rounded(crop + random.normal(0.0, NOISE_LEVELS[level - 1], crop.shape))


def darkness(crop: ImageArray, level: int, random: np.random.Generator) -> ImageArray:
    """Little light: darker, and the sensor's noise is no longer small beside it."""
    return _rounded(crop * DARK_GAIN[level - 1] + random.normal(0.0, DARK_NOISE, crop.shape))


def jpeg(crop: ImageArray, level: int, random: np.random.Generator) -> ImageArray:  # noqa: ARG001
    """A camera that saves bandwidth."""
    _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY[level - 1]])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def small(crop: ImageArray, level: int, random: np.random.Generator) -> ImageArray:  # noqa: ARG001
    """Seen from afar: fewer pixels than the crop has."""
    side = SMALL_PX[level - 1]
    shrunk = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


DISTORTIONS: Final[dict[str, Callable[[ImageArray, int, np.random.Generator], ImageArray]]] = {
    "blur": blur,
    "noise": noise,
    "darkness": darkness,
    "jpeg": jpeg,
    "small": small,
}


def distort(crop: ImageArray, kind: str, level: int, random: np.random.Generator) -> ImageArray:
    """crop: uint8[S, S, 3] RGB; level: 0 (a copy) to LEVELS -> the same shape. Raises BadInput for another kind.

    The five that RankIQA's pairs are made of at a door (Liu, van de Weijer, Bagdanov 2017).
    """
    if kind not in DISTORTIONS or not 0 <= level <= LEVELS:
        raise BadInput(f"There is no distortion {kind!r} of level {level}; there are {', '.join(DISTORTIONS)}, 0 to 5.")
    return crop.copy() if level == 0 else DISTORTIONS[kind](crop, level, random)


def _rounded(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> ImageArray:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
