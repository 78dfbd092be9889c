"""A picture as a camera gave it: pixels, or a JPEG that is decoded only as far as somebody looks.

A door at rest looks at an eighth of a JPEG's breadth and height. Each of those pixels is the mean of a block of 8x8,
which the file holds as one number (ITU-T T.81, A.3.3), so that libjpeg neither transforms nor colours anything; and
whoever looks for faces pays for the whole picture then.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, Protocol

import cv2
import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import ImageArray

SKETCHED: Final = 8
"""Rows and columns of a JPEG that are one in its sketch."""

MOST_PIXELS: Final = 40_000_000
"""What a camera may claim: decoded it is 120 MB, and a sketch of the most that a JPEG can claim is 67."""

BEGIN, SCAN, END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
"""JPEG's markers. END cannot occur within a scan; a thumbnail's lies before the last one begins."""

SMALL: Final = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
WHOLE: Final = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


class Picture(Protocol):
    """What is the same whether a camera sends pixels or JPEGs."""

    @property
    def image(self) -> ImageArray:
        """uint8[H, W, 3] BGR. Raises BadInput for a JPEG that cannot be decoded."""

    @property
    def sketch(self) -> ImageArray:
        """Brightness of the whole picture in few pixels, uint8[h, w]."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels; a JPEG's are rounded up to eight."""

    @property
    def brightness(self) -> float:
        """Mean of all pixels, 0 to 255, from a sample of them."""


class Pixels:
    """A picture that came decoded."""

    def __init__(self, image: ImageArray) -> None:
        """image: uint8[H, W, 3] BGR."""
        self.image = image

    @property
    def sketch(self) -> ImageArray:
        """One channel: green is most of what is bright, and where the sensor has most pixels; every second pixel of
        every fourth row."""
        sampled: ImageArray = self.image[::4, ::2, 1]
        return sampled

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    @property
    def brightness(self) -> float:
        # All channels: a room in blue light is not black.
        return sum(cv2.mean(self.image[::4])[:3]) / 3


class Jpeg:
    """A picture that came as a JPEG."""

    def __init__(self, data: bytes) -> None:
        """data: the file. Raises BadInput for one that is torn, for its lower half would be grey, for what is no JPEG,
        and for more than MOST_PIXELS."""
        if not (data.startswith(BEGIN) and data.rfind(END) > data.rfind(SCAN) > 0):
            raise BadInput("The camera sent a torn JPEG.")
        self.data = data
        self.sketch = self._decoded(SMALL)
        if self.size[0] * self.size[1] > MOST_PIXELS:
            raise BadInput(f"The camera sent a JPEG of {self.size[1]}x{self.size[0]} pixels; that is no camera's.")

    @cached_property
    def image(self) -> ImageArray:
        return self._decoded(WHOLE)

    @property
    def size(self) -> tuple[int, int]:
        return self.sketch.shape[0] * SKETCHED, self.sketch.shape[1] * SKETCHED

    @property
    def brightness(self) -> float:
        return float(cv2.mean(self.sketch)[0])

    def _decoded(self, flags: int) -> ImageArray:
        try:
            image = cv2.imdecode(np.frombuffer(self.data, np.uint8), flags)
        except cv2.error:
            image = None  # larger than OpenCV decodes
        if image is None:
            raise BadInput("The camera sent a JPEG that cannot be decoded.")
        return np.asarray(image, dtype=np.uint8)


def same(a: Picture, b: Picture) -> bool:
    """Pixel for pixel. A camera's noise tells two pictures apart in their sketches; the rest is seldom looked at."""
    if isinstance(a, Jpeg) and isinstance(b, Jpeg) and a.data == b.data:
        return True
    return np.array_equal(a.sketch, b.sketch) and np.array_equal(a.image, b.image)


def as_bgr(image: np.ndarray) -> ImageArray:
    """Grey, BGRA or BGR of eight bits -> uint8[H, W, 3] BGR. Some cameras send grey at night."""
    if image.ndim == 2 or image.shape[2] == 1:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    elif image.shape[2] == 4:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2BGR))
    return np.ascontiguousarray(image, dtype=np.uint8)
