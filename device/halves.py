"""An image at half of its size, made once: finding a face in it and cutting that out both begin there."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from firmware_config.face import ImageArray


class _Made(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int
    half: ImageArray


class Halves:
    """Of one image. One thread."""

    def __init__(self, image: ImageArray) -> None:
        """image: uint8[H, W, 3], which is not written to meanwhile."""
        self.image = image
        self._made: _Made | None = None

    def of(self, left: int, top: int, right: int, bottom: int) -> ImageArray:
        """That part of the image, each 2 x 2 pixels averaged to one. Pixels of the image, right - left and bottom - top
        even. Where left and top are even too, what was made last serves whatever lies within it; not to be written to.
        """
        made, in_step = self._made, left % 2 == 0 == top % 2
        if made is not None and in_step and _within(made, left, top, right, bottom):
            rows = slice((top - made.top) // 2, (bottom - made.top) // 2)
            return made.half[rows, (left - made.left) // 2 : (right - made.left) // 2]
        part = half(self.image[top:bottom, left:right])
        if in_step:
            self._made = _Made(left, top, right, bottom, part)
        return part


def half(image: ImageArray) -> ImageArray:
    """Each 2 x 2 pixels become one, their mean. image: uint8[H, W, 3], H and W even. OpenCV has vector code for it."""
    size = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _within(made: _Made, left: int, top: int, right: int, bottom: int) -> bool:
    return made.left <= left and made.top <= top and right <= made.right and bottom <= made.bottom
