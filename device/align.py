"""Five landmarks -> the crop that every encoder sees."""

from __future__ import annotations

from math import ceil, floor, isfinite
from typing import Final, cast

import cv2
import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE, TEMPLATE, FloatArray, ImageArray

_TEMPLATE: Final[list[list[float]]] = TEMPLATE.tolist()
AREA_BELOW_SCALE: Final = 0.5
"""Bilinear warping skips pixels when it shrinks by more than two; such images are averaged down first."""


def similarity(points: FloatArray, template: FloatArray) -> FloatArray:
    """The rotation, one scale and shift that bring points closest to template, least squares.

    points, template: float32[N, 2], N >= 2, pixels -> float32[2, 3], template ~ M @ (x, y, 1).
    Raises BadInput when all points coincide. Umeyama 1991, in two dimensions and without reflections, where
    it is the complex regression of template on points.
    """
    return _matrix(*_fit(points, template.tolist()))


def align(image_bgr: ImageArray, landmarks: FloatArray, border: int = 0) -> ImageArray:
    """The aligned crop of one face.

    image_bgr: uint8[H, W, 3] BGR. landmarks: float32[5, 2] pixels, in the order of face.TEMPLATE. border: pixels
    more on every side, for training -> uint8[112, 112, 3] RGB, black outside the image. Raises BadInput for
    landmarks that are no face's. InsightFace's norm_crop and OpenCV's FaceRecognizerSF.alignCrop, which bundles are
    trained on.
    """
    side = CROP_SIZE + 2 * border
    turn, shift = _fit(landmarks, _TEMPLATE)
    shift += complex(border, border)
    if abs(turn) < AREA_BELOW_SCALE:
        image_bgr, turn, shift = _shrunk(image_bgr, turn, shift, int(1 / abs(turn)), side)
    crop = cv2.warpAffine(image_bgr, _matrix(turn, shift), (side, side), flags=cv2.INTER_LINEAR)
    return cast("ImageArray", cv2.cvtColor(crop, cv2.COLOR_BGR2RGB))


def _fit(points: FloatArray, template: list[list[float]]) -> tuple[complex, complex]:
    """turn, shift: template ~ turn * (x + iy) + shift."""
    # Five points: numpy would spend more on its calls than on the numbers.
    source = [complex(x, y) for x, y in points.tolist()]
    target = [complex(x, y) for x, y in template]
    source_mean, target_mean = sum(source) / len(source), sum(target) / len(target)
    spread, together = 0.0, 0j
    for before, after in zip(source, target, strict=True):
        centred = before - source_mean
        spread += centred.real * centred.real + centred.imag * centred.imag
        together += centred.conjugate() * (after - target_mean)
    if not isfinite(spread) or spread < 1e-6:
        raise BadInput("The face's landmarks lie on one point; this is not a face that can be aligned.")
    turn = together / spread
    if not turn:
        raise BadInput("The face's landmarks have no direction; this is not a face that can be aligned.")
    return turn, target_mean - turn * source_mean


def _matrix(turn: complex, shift: complex) -> FloatArray:
    matrix = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.array(matrix, dtype=np.float32)


def _shrunk(
    image: ImageArray, turn: complex, shift: complex, times: int, side: int
) -> tuple[ImageArray, complex, complex]:
    """The part of the image that the crop shows, each `times` x `times` pixels averaged to one; and turn and shift from
    there. Whole pixels, because OpenCV averages those much faster than fractions.
    """
    seen = [(corner - shift) / turn for corner in (0j, complex(side, 0), complex(0, side), complex(side, side))]
    across, down = [place.real for place in seen], [place.imag for place in seen]
    left, top = (max(floor(min(places)) - 2 * times, 0) for places in (across, down))
    right, bottom = (max(ceil(max(places)) + 2 * times, 0) for places in (across, down))
    part = image[top:bottom, left:right]
    height, width = part.shape[0] // times, part.shape[1] // times
    if height == 0 or width == 0:
        raise BadInput("The face's landmarks lie outside the image; this is not a face that can be aligned.")
    small = averaged(part[: height * times, : width * times], times)
    # Pixel centres lie at +0.5: averaging keeps an image's corner in place, not its first pixel's centre.
    half = complex(0.5, 0.5)
    return small, turn * times, turn * (half * times - half + complex(left, top)) + shift


def averaged(image: ImageArray, times: int) -> ImageArray:
    """Each times x times pixels become one, their mean. image: uint8[H, W, 3], H and W multiples of times, at least 2.

    OpenCV's INTER_AREA, but that halves may be rounded the other way: for two it has vector code, beyond that the
    sliding sums of a box filter take half of its time.
    """
    if times == 2:
        size = (image.shape[1] // 2, image.shape[0] // 2)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    sums = cv2.blur(image, (times, times), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(np.asarray(sums, dtype=np.uint8)[::times, ::times])
