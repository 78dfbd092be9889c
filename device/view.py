"""What of an image the detector is shown, and at what size: all of it, or the part around a face."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from firmware_config.face import ImageArray

Box = tuple[float, float, float, float]
"""x, y, width, height, pixels of the image."""

INPUT_MULTIPLE: Final = 32
"""The input's sides are multiples of YuNet's coarsest stride, pixels."""


LEAST_PX: Final = 128
"""Sides of the part that is looked at around a face, at least, input pixels. The network sees black beyond its edges,
and the edges should be far from the face in anchors' steps, too."""

MOST_PX: Final = 96
"""Longer side of a face that is looked at by itself, at most, input pixels: above it the image is looked at by halves
more coarsely. YuNet's points are as good there (docs/landmarks.md)."""

REACH: Final = 2.0
"""Side of the part in longer sides of the face: it may move by half a face between two frames, at 15 frames a second
three quarters of a metre in a second at arm's length."""


class View(NamedTuple):
    """left, top, right, bottom: of the image, pixels. width, height: what these become in the detector's input, pixels,
    which is padded at right and below to INPUT_MULTIPLE."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the input."""
        return up(self.height), up(self.width)

    @property
    def scale(self) -> tuple[float, float]:
        """Image pixels per input pixel, in x and y."""
        return (self.right - self.left) / self.width, (self.bottom - self.top) / self.height

    @property
    def area(self) -> int:
        """Pixels of the input."""
        height, width = self.padded
        return height * width

    def of(self, image: ImageArray) -> ImageArray:
        """The part that is seen, image pixels."""
        return image[self.top : self.bottom, self.left : self.right]


def whole(image: ImageArray, long_side: int) -> View:
    """long_side: of the input, pixels."""
    height, width = image.shape[:2]
    return _whole(height, width, long_side)


@lru_cache(maxsize=16)
def _whole(height: int, width: int, long_side: int) -> View:
    scale = long_side / max(height, width)
    return View(0, 0, width, height, max(1, round(width * scale)), max(1, round(height * scale)))


def around(image: ImageArray, long_side: int, box: Box) -> View:
    """A square around a face, in step with the anchors: where an input pixel is a whole number of the image's, and the
    face small enough, the input is the very part of what `whole` gives.

    long_side: as for whole. box: the face, pixels of the image. One that lies outside of it gives the nearest part.
    """
    x, y, width, height = box
    while True:
        everything = whole(image, long_side)
        across, down = everything.scale
        face = max(width / across, height / down)
        if not face > MOST_PX:  # written so that a NaN ends it
            break
        long_side //= 2
    rows, columns = everything.padded
    side = up(max(REACH * face, LEAST_PX))
    left = in_step((x + width / 2) / across - side / 2, columns - side)
    top = in_step((y + height / 2) / down - side / 2, rows - side)
    right, bottom = min(left + side, everything.width), min(top + side, everything.height)
    return View(
        left=round(left * across),
        top=round(top * down),
        right=round(right * across),
        bottom=round(bottom * down),
        width=right - left,
        height=bottom - top,
    )


def up(size: float) -> int:
    """The next multiple."""
    return -int(-size // INPUT_MULTIPLE) * INPUT_MULTIPLE


def in_step(place: float, most: int) -> int:
    """The nearest multiple from 0 to most."""
    return max(0, min(round(place / INPUT_MULTIPLE) * INPUT_MULTIPLE, most))
