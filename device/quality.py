"""Is this crop good enough to be compared? A reason that a person can act on, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np

from device.detect import Face
from device.ranker import QualityRanker
from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE, ImageArray, Reason

FACE_ROWS: Final = slice(32, 104)
FACE_COLUMNS: Final = slice(24, 88)
"""The part of the crop that is brow to chin in every pose, pixels: hair and background have no say."""


@dataclass(frozen=True)
class QualityGate:
    """What is refused. Shares are those refused of 3,000 CelebA training crops, which are good photographs, and
    of 1,500 FairFace ones, which are not all; the gates for light are set on FairFace, whose faces have every
    colour of skin, so that "too dark" means the light and not the person.
    """

    min_eye_distance_px: float = 24.0
    """Eyes are 35 px apart in the crop; below this it would be enlarged by more than 1.5."""

    min_luma: float = 30.0
    """Mean brightness of the face, 0 to 255. CelebA 0 %, FairFace 0.4 %."""

    max_luma: float = 230.0
    """Above it skin is burnt out to white. CelebA 0 %, FairFace 0 %."""

    min_sharpness: float = 0.015
    """Variance of the Laplacian over the variance of the brightness, so contrast does not count. CelebA 0 %; the
    same blurred by a Gaussian of sigma 1.6 px, 25 %; 2.2 px, 55 %; 3 px, 80 %. After Pech-Pacheco et al. 2000.
    """

    max_yaw: float = 0.42
    """Nose off the middle of the eyes, in eye distances, either side. CelebA 1 %."""

    max_elongation: float = 1.8
    """Eyes to mouth in eye distances: 1.15 from the front, it grows as the eyes come together. CelebA 0.4 %."""

    min_pitch: float = 0.40
    max_pitch: float = 0.75
    """Where the nose is between eyes (0) and mouth (1). Looking up or down moves it. CelebA 0.1 %."""

    min_inside: float = 0.75
    """Share of the face's box that lies inside the image: what is outside, YuNet guesses."""

    min_score: float = 0.0
    """Of the bundle's quality.onnx: 0 on its scale is where a picture's faults alone move the embedding by half of
    tau. CelebA and AT&T 0 %, FairFace 0.1 %."""


DOOR_GATE: Final = QualityGate()


class Quality(NamedTuple):
    """reason: why the crop is refused, None when it is good. values: every measure by the gate's name for it."""

    reason: Reason | None
    values: dict[str, float]


def assess(
    image_bgr: ImageArray,
    face: Face,
    crop: ImageArray,
    gate: QualityGate = DOOR_GATE,
    ranker: QualityRanker | None = None,
) -> Quality:
    """Judges one face.

    image_bgr: uint8[H, W, 3], where the face was found. crop: uint8[112, 112, 3] RGB, from align. gate: the limits
    -> the first reason in the order in which a person would mend them: come closer, light, hold still, look here. What
    passes all of these is scored by the ranker of the bundle, where there is one: it sees what they do not measure.
    Raises BadInput for a crop of another shape, BadState when the ranker fails.
    """
    if crop.shape != (CROP_SIZE, CROP_SIZE, 3) or crop.dtype != np.uint8:
        raise BadInput(f"A crop is uint8[112, 112, 3], not {crop.dtype}{list(crop.shape)}.")
    values = _pose(face) | _light(crop) | {"inside": _inside(image_bgr, face)}
    reason = _reason(values, gate)
    if reason is None and ranker is not None:
        values["score"] = float(ranker.score(crop[np.newaxis])[0])
        if not values["score"] >= gate.min_score:
            reason = Reason.POOR_PICTURE
    return Quality(reason, values)


def told(values: Mapping[str, float]) -> dict[str, float]:
    """Quality's values as they are kept and shown: four digits."""
    return {name: round(value, 4) for name, value in values.items()}


def _reason(values: dict[str, float], gate: QualityGate) -> Reason | None:
    # Each line says when a crop passes, so that a NaN never does.
    passes = (
        (Reason.TOO_SMALL, values["eye_distance_px"] >= gate.min_eye_distance_px),
        (Reason.TOO_DARK, values["luma"] >= gate.min_luma),
        (Reason.TOO_BRIGHT, values["luma"] <= gate.max_luma),
        (Reason.TURNED_AWAY, abs(values["yaw"]) <= gate.max_yaw),
        (Reason.TURNED_AWAY, values["elongation"] <= gate.max_elongation),
        (Reason.TURNED_AWAY, gate.min_pitch <= values["pitch"] <= gate.max_pitch),
        (Reason.TURNED_AWAY, values["inside"] >= gate.min_inside),
        (Reason.BLURRED, values["sharpness"] >= gate.min_sharpness),
    )
    for reason, passed in passes:
        if not passed:
            return reason
    return None


def _pose(face: Face) -> dict[str, float]:
    # Along and across the line of the eyes: a tilted head is as good as an upright one, align turns it. As complex
    # numbers, x + iy: for five points numpy's calls would take longer than the numbers.
    left_eye, right_eye, nose, left_mouth, right_mouth = (complex(x, y) for x, y in face.landmarks.tolist())
    across = right_eye - left_eye
    eye_distance = max(abs(across), 1e-6)
    eyes, right = (left_eye + right_eye) / 2, across / eye_distance
    nose_from_eyes = (nose - eyes) * right.conjugate()
    mouth_below = (((left_mouth + right_mouth) / 2 - eyes) * right.conjugate()).imag
    return {
        "eye_distance_px": eye_distance,
        "yaw": nose_from_eyes.real / eye_distance,
        "pitch": nose_from_eyes.imag / mouth_below if mouth_below > 1e-6 else -1.0,
        "elongation": mouth_below / eye_distance,
    }


def _light(crop: ImageArray) -> dict[str, float]:
    luma = cv2.cvtColor(crop[FACE_ROWS, FACE_COLUMNS], cv2.COLOR_RGB2GRAY)
    mean, deviation = cv2.meanStdDev(luma)
    _, edges = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_32F))
    # A flat grey patch has neither; counting it as variance 1 keeps the quotient finite and small.
    spread = max(float(deviation[0, 0]) ** 2, 1.0)
    return {"luma": float(mean[0, 0]), "sharpness": float(edges[0, 0]) ** 2 / spread}


def _inside(image: ImageArray, face: Face) -> float:
    x, y, width, height = face.box
    rows, columns = image.shape[:2]
    seen_width = max(0.0, min(x + width, columns) - max(x, 0.0))
    seen_height = max(0.0, min(y + height, rows) - max(y, 0.0))
    return float(seen_width * seen_height / max(width * height, 1e-6))
