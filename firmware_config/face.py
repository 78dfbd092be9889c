"""The crop, the distance and the reason codes: the only copy that door, page and trainer share."""

from __future__ import annotations

from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

CROP_SIZE: Final = 112
"""Side of the square crop, pixels."""

EMBEDDING_SIZE: Final = 128
"""Length of an embedding."""

# Left eye, right eye, nose, left and right mouth corner as seen in the image, pixels (x, y) in the crop.
# Source: InsightFace's arcface_dst, which OpenCV's FaceRecognizerSF uses too.
TEMPLATE: Final[FloatArray] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)
TEMPLATE.flags.writeable = False

MAX_DISTANCE: Final = 2.0
"""Largest Euclidean distance between two unit vectors."""


class Reason(str, Enum):
    """Why a door did what it did. The value is what logs, messages and the page's tables carry."""

    GRANTED = "granted"
    UNKNOWN_FACE = "unknown_face"
    AMBIGUOUS = "ambiguous"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    BLURRED = "blurred"
    TOO_SMALL = "too_small"
    TURNED_AWAY = "turned_away"
    POOR_PICTURE = "poor_picture"
    NOT_VALID_NOW = "not_valid_now"
    LOCKED_DOWN = "locked_down"
    UNDER_GUARD = "under_guard"
    STALE_FRAME = "stale_frame"
    NO_ROSTER = "no_roster"
    ENCODER_MISMATCH = "encoder_mismatch"
    LOCK_OFFLINE = "lock_offline"
    CAMERA_LOST = "camera_lost"
    INTERNAL_ERROR = "internal_error"

    def __str__(self) -> str:
        return self.value


def distance(a: FloatArray, b: FloatArray) -> FloatArray:
    """Euclidean distance of unit vectors.

    a, b: float32[..., 128], unit rows, broadcast against each other -> float32[...], 0 to 2.
    ||a - b||^2 = 2 - 2 a.b for unit vectors; Chopra, Hadsell, LeCun 2005 compare siamese outputs so.
    """
    cosine = np.sum(a * b, axis=-1, dtype=np.float32)
    result: FloatArray = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0), dtype=np.float32)
    return result
