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


def align(image_bgr: ImageArray, landmarks: FloatArray) -> ImageArray:
    """The aligned crop of one face.

    image_bgr: uint8[H, W, 3] BGR. landmarks: float32[5, 2] pixels, in the order of face.TEMPLATE
    -> uint8[112, 112, 3] RGB, black outside the image. Raises BadInput for landmarks on one point.
    InsightFace's norm_crop and OpenCV's FaceRecognizerSF.alignCrop, which bundles are trained on.
    """
    matrix = similarity(landmarks, TEMPLATE)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < AREA_BELOW_SCALE:
        height, width = image_bgr.shape[:2]
        small = (max(1, round(width * 2 * scale)), max(1, round(height * 2 * scale)))
        ratio = np.array([small[0] / width, small[1] / height], dtype=np.float32)
        image_bgr = np.asarray(cv2.resize(image_bgr, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        # Pixel centres lie at +0.5 (cv2.resize keeps the image's corners, not its first pixel centre).
        matrix = similarity((landmarks + 0.5) * ratio - 0.5, TEMPLATE)
    crop = cv2.warpAffine(image_bgr, matrix, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), dtype=np.uint8)
