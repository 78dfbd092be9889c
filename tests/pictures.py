"""Pictures that show nothing, for tests of what only carries them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from device.picture import Jpeg, Picture
from firmware_config.face import ImageArray

Sent = Callable[[ImageArray], Picture]
"""What a camera makes of pixels."""


def view(number: int) -> ImageArray:
    """A picture that is like no other number's."""
    return np.random.default_rng(number).integers(60, 200, (48, 64, 3), dtype=np.uint8)


def jpeg(image: ImageArray, quality: int = 90) -> bytes:
    """The file of uint8[H, W, 3] BGR or uint8[H, W]."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def as_jpeg(image: ImageArray) -> Jpeg:
    """As a camera sends it."""
    return Jpeg(jpeg(image, quality=80))
