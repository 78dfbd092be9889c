"""Five landmarks -> the crop that every encoder sees."""

from __future__ import annotations

from math import ceil, floor, isfinite
from typing import Final, NamedTuple, cast

import cv2
import numpy as np

from device.halves import Halves, half
from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE, TEMPLATE, FloatArray, ImageArray

AREA_BELOW_SCALE: Final = 0.5
"""Bilinear warping skips pixels when it shrinks by more than two; such images are averaged down first."""


def similarity(points: FloatArray, template: FloatArray) -> FloatArray:
    """The rotation, one scale and shift that bring points closest to template, least squares.

    points, template: float32[N, 2], N >= 2, pixels -> float32[2, 3], template ~ M @ (x, y, 1).
    Raises BadInput when all points coincide. Umeyama 1991, in two dimensions and without reflections, where
    it is the complex regression of template on points.
    """
    return _matrix(*_fit(points, _centred(template)))


def align(image_bgr: ImageArray, landmarks: FloatArray, border: int = 0) -> ImageArray:
    """The aligned crop of one face.

    image_bgr: uint8[H, W, 3] BGR. landmarks: float32[5, 2] pixels, in the order of face.TEMPLATE. border: pixels
    more on every side, for training -> uint8[112, 112, 3] RGB, black outside the image. Raises BadInput for landmarks
    that are no face's. InsightFace's norm_crop and OpenCV's FaceRecognizerSF.alignCrop, which bundles are trained on.
    """
    return cut_out(Halves(image_bgr), landmarks, border)


def cut_out(halves: Halves, landmarks: FloatArray, border: int = 0) -> ImageArray:
    """As align, for whoever has halves of the image already."""
    side = CROP_SIZE + 2 * border
    turn, shift = _fit(landmarks, _TEMPLATE)
    shift += complex(border, border)
    if abs(turn) < AREA_BELOW_SCALE:
        small, turn, shift = _shrunk(halves, turn, shift, int(1 / abs(turn)), side)
        # OpenCV's warp has vector code for four channels, not for three.
        crop = cv2.warpAffine(
            cv2.cvtColor(small, cv2.COLOR_BGR2RGBA), _matrix(turn, shift), (side, side), flags=cv2.INTER_LINEAR
        )
        return cast("ImageArray", cv2.cvtColor(crop, cv2.COLOR_RGBA2RGB))
    crop = cv2.warpAffine(halves.image, _matrix(turn, shift), (side, side), flags=cv2.INTER_LINEAR)
    return cast("ImageArray", cv2.cvtColor(crop, cv2.COLOR_BGR2RGB))


class _Centred(NamedTuple):
    """Points as complex numbers, x + iy, from their mean."""

    points: tuple[complex, ...]
    mean: complex


def _centred(points: FloatArray) -> _Centred:
    found = [complex(x, y) for x, y in points.tolist()]
    mean = sum(found) / len(found)
    return _Centred(tuple(point - mean for point in found), mean)


_TEMPLATE: Final = _centred(TEMPLATE)


def _fit(points: FloatArray, onto: _Centred) -> tuple[complex, complex]:
    """turn, shift: onto's points ~ turn * (x + iy) + shift."""
    # Five points: numpy would spend more on its calls than on the numbers.
    first, *others = (complex(x, y) for x, y in points.tolist())
    # From the first point, which lies near all others: squares of an image's size would leave few digits.
    along, square, together = 0j, 0.0, 0j
    for point, target in zip(others, onto.points[1:], strict=True):
        from_first = point - first
        along += from_first
        square += from_first.real * from_first.real + from_first.imag * from_first.imag
        together += from_first.conjugate() * target
    mean = along / len(onto.points)
    spread = square - (along.conjugate() * mean).real
    if not isfinite(spread) or spread < 1e-6:
        raise BadInput("The face's landmarks lie on one point; this is not a face that can be aligned.")
    turn = together / spread
    if not turn:
        raise BadInput("The face's landmarks have no direction; this is not a face that can be aligned.")
    return turn, onto.mean - turn * (first + mean)


def _matrix(turn: complex, shift: complex) -> FloatArray:
    matrix = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.array(matrix, dtype=np.float32)


def _shrunk(
    halves: Halves, turn: complex, shift: complex, times: int, side: int
) -> tuple[ImageArray, complex, complex]:
    """The part of the image that the crop shows, each `times` x `times` pixels averaged to one; and turn and shift from
    there. Whole pixels, because OpenCV averages those much faster than fractions.
    """
    across = 1 / turn
    middle = (complex(side, side) / 2 - shift) * across
    # Half of the upright square around a turned one.
    reach = side / 2 * (abs(across.real) + abs(across.imag))
    # On a grid from the image's corner, for a half that was made of more of the image.
    left = max(floor(middle.real - reach) // times - 2, 0) * times
    top = max(floor(middle.imag - reach) // times - 2, 0) * times
    right = max(ceil(middle.real + reach) + 2 * times, 0)
    bottom = max(ceil(middle.imag + reach) + 2 * times, 0)
    rows, columns = halves.image.shape[:2]
    width, height = (min(right, columns) - left) // times, (min(bottom, rows) - top) // times
    if height <= 0 or width <= 0:
        raise BadInput("The face's landmarks lie outside the image; this is not a face that can be aligned.")
    right, bottom = left + width * times, top + height * times
    small = halves.of(left, top, right, bottom) if times == 2 else averaged(halves.image[top:bottom, left:right], times)
    # Pixel centres lie at +0.5: averaging keeps an image's corner in place, not its first pixel's centre.
    centre = complex(0.5, 0.5)
    return small, turn * times, turn * (centre * times - centre + complex(left, top)) + shift


def averaged(image: ImageArray, times: int) -> ImageArray:
    """Each times x times pixels become one, their mean. image: uint8[H, W, 3], H and W multiples of times, at least 2.

    OpenCV's INTER_AREA, but that halves may be rounded the other way: for two it has vector code, beyond that the
    sliding sums of a box filter take half of its time.
    """
    if times == 2:
        return half(image)
    means = cv2.blur(image, (times, times), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    rows, columns = image.shape[:2]
    size = columns // times, rows // times
    return np.asarray(cv2.resize(means, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
