"""Five landmarks -> the crop that every encoder sees."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

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
    source = points.astype(np.float64) @ np.array([1, 1j])
    target = template.astype(np.float64) @ np.array([1, 1j])
    source_mean, target_mean = source.mean(), target.mean()
    centred = source - source_mean
    spread = float(np.vdot(centred, centred).real)
    if not np.isfinite(spread) or spread < 1e-6:
        raise BadInput("The face's landmarks lie on one point; this is not a face that can be aligned.")
    turn = np.vdot(centred, target - target_mean) / spread
    shift = target_mean - turn * source_mean
    matrix = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.array(matrix, dtype=np.float32)


def align(image_bgr: ImageArray, landmarks: FloatArray, border: int = 0) -> ImageArray:
    """The aligned crop of one face.

    image_bgr: uint8[H, W, 3] BGR. landmarks: float32[5, 2] pixels, in the order of face.TEMPLATE. border: pixels
    more on every side, for training -> uint8[112, 112, 3] RGB, black outside the image. Raises BadInput for
    landmarks that are no face's. InsightFace's norm_crop and OpenCV's FaceRecognizerSF.alignCrop, which bundles are
    trained on.
    """
    template, side = TEMPLATE + np.float32(border), CROP_SIZE + 2 * border
    matrix = similarity(landmarks, template)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < AREA_BELOW_SCALE:
        image_bgr, landmarks = _shrunk(image_bgr, landmarks, matrix, int(1 / scale), side)
        matrix = similarity(landmarks, template)
    crop = cv2.warpAffine(image_bgr, matrix, (side, side), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _shrunk(
    image: ImageArray, landmarks: FloatArray, matrix: FloatArray, times: int, side: int
) -> tuple[ImageArray, FloatArray]:
    """The part of the image that the crop shows, each `times` x `times` pixels averaged to one; and where the
    landmarks are in it. Whole pixels, because OpenCV averages those much faster than fractions.
    """
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]])
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    left, top = np.maximum(np.floor(seen.min(axis=0)) - 2 * times, 0).astype(int)
    right, bottom = np.ceil(seen.max(axis=0)).astype(int) + 2 * times
    part = image[top : max(bottom, 0), left : max(right, 0)]
    height, width = (side // times for side in part.shape[:2])
    if height == 0 or width == 0:
        raise BadInput("The face's landmarks lie outside the image; this is not a face that can be aligned.")
    part = part[: height * times, : width * times]
    small = averaged(part, times)
    # Pixel centres lie at +0.5: averaging keeps an image's corner in place, not its first pixel's centre.
    moved: FloatArray = ((landmarks - [left, top] + 0.5) / times - 0.5).astype(np.float32)
    return small, moved


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
