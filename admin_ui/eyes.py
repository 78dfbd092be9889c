"""The door's own eyes, for photos: one face gives one embedding wherever it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from device.align import align
from device.detect import Detector, Face
from device.detector_file import detector_model
from device.embed import Encoder
from device.quality import Quality, QualityGate, assess
from device.ranker import QualityRanker
from firmware_config.face import FloatArray, ImageArray

LOOKS_PX: Final = (640, 1280)
"""Long sides, pixels, that a photo is looked at: portraits at the first, far faces at the second."""
FROM_AFAR_PX: Final = (320, 160)
"""A face that shows only when the photo is made this small is too blurred to enrol: made small, it looks sharp."""


@dataclass(frozen=True)
class Seen:
    """One face in a photo, all the way: what the gate said, the crop uint8[112, 112, 3] RGB, the embedding
    float32[128]."""

    face: Face
    quality: Quality
    crop: ImageArray
    embedding: FloatArray


class Eyes:
    """Detector, quality gate and one bundle's networks. Safe to use from any thread (onnxruntime's sessions are)."""

    def __init__(self, detector: Detector, encoder: Encoder, ranker: QualityRanker | None = None) -> None:
        self._detector = detector
        self._encoder = encoder
        self._ranker = ranker

    @property
    def encoder_id(self) -> str:
        """sha256 of the ONNX file."""
        return self._encoder.encoder_id

    def faces(self, image_bgr: ImageArray, looks: Sequence[int] = LOOKS_PX) -> list[Face]:
        """uint8[H, W, 3] BGR -> faces, the largest first. looks: long sides, pixels, tried until there is a face.

        Raises BadInput for an image below 16 pixels.
        """
        for long_side in looks:
            found = self._detector.detect(image_bgr, long_side=long_side)
            if found:
                return found
        return []

    def see(self, image_bgr: ImageArray, face: Face) -> Seen:
        """The way of a frame from align to embed, for one face."""
        crop = align(image_bgr, face.landmarks)
        return Seen(face, assess(image_bgr, face, crop, ranker=self._ranker), crop, self.embed([crop])[0])

    def judge(self, image_bgr: ImageArray, face: Face, gate: QualityGate, *, ranked: bool) -> Quality:
        """What the gate says of one face, without the encoder. ranked: ask the bundle's ranking too, where there is
        one."""
        crop = align(image_bgr, face.landmarks)
        return assess(image_bgr, face, crop, gate, self._ranker if ranked else None)

    def embed(self, crops: Sequence[ImageArray]) -> FloatArray:
        """uint8[112, 112, 3] RGB each -> float32[N, 128], unit rows."""
        return self._encoder.embed(np.stack(list(crops)))

    def embed_array(self, crops: ImageArray) -> FloatArray:
        """uint8[N, 112, 112, 3] RGB -> float32[N, 128], unit rows."""
        return self._encoder.embed(crops)

    def with_encoder(self, onnx: bytes, quality: bytes | None = None) -> Eyes:
        """The same detector, another bundle's networks. Raises BadInput."""
        return _eyes(self._detector, onnx, quality)


def open_eyes(onnx: bytes, quality: bytes | None = None, cache: Path | None = None) -> Eyes:
    """onnx, quality: encoder.onnx and, if there is one, quality.onnx of the bundle in force. cache: where third-party
    files are kept, none for the usual place.

    Raises LostLink when the detector cannot be fetched, BadInput for a bad network.
    """
    return _eyes(Detector(detector_model(cache), long_side=LOOKS_PX[0]), onnx, quality)


def _eyes(detector: Detector, onnx: bytes, quality: bytes | None) -> Eyes:
    return Eyes(detector, Encoder(onnx), QualityRanker(quality) if quality is not None else None)
