"""What somebody at the page sees through the camera: its newest picture, or the best one of the face of a moment ago.

Both are small enough for one message, and are kept nowhere but in memory, the faces for BEST_S."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from device.camera import Frame
from device.sight import Seen
from firmware_config.face import ImageArray

LONG_SIDE_PX: Final = 640
"""A face at the door's usual distance still has 100 pixels: enough to see who it is."""
MOST_BYTES: Final = 64 * 1024
"""Sealed and in base64 it is 88 kB; an answer has 128."""
QUALITIES: Final = (88, 75, 60, 40)
FRESH_S: Final = 2.0
"""An older picture does not show who stands there now."""
BEST_S: Final = 3.0
"""Of so many seconds the best face is chosen: somebody who is asked to look into the camera does so for as long, and
whoever stood there before has gone."""
BUCKET_S: Final = 1.0
"""The best of each second is kept, so that a good one that grows too old has a follower: four pictures at most."""
AROUND: Final = 2.2
"""Breadth of what is cut out, in breadths of the face: head and shoulders, and few bystanders."""
LEAST_PX: Final = 64
"""The page reads no smaller photo."""
FACE_SIDE_PX: Final = 480
"""A crop needs 35 pixels between the eyes; here a near face has 90, and four pictures take 3 MB."""


@dataclass(frozen=True)
class _Best:
    """worth: compares with others; captured_at: monotonic seconds."""

    worth: tuple[bool, float, float]
    captured_at: float
    image: ImageArray


class Glimpse:
    """Keeps the newest frame until the next one comes, and the best faces of BEST_S. On the loop's thread."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._best: dict[int, _Best] = {}

    def see(self, frame: Frame) -> None:
        """frame: as it came from the camera. Faces that have grown too old are forgotten."""
        self._frame = frame
        self._forget(frame.captured_at)

    def saw(self, frame: Frame, seen: Seen) -> None:
        """What was found in it. The better picture: one that passes the gate before one that does not, then by the
        bundle's ranking, then the sharper one."""
        if seen.box is None:
            return
        good = seen.observation.quality is None
        worth = (good, seen.quality.get("score", 0.0), seen.quality.get("sharpness", 0.0))
        bucket = int(frame.captured_at // BUCKET_S)
        before = self._best.get(bucket)
        if before is None or worth > before.worth:
            image = _around(frame.image, seen.box)
            if min(image.shape[:2]) >= LEAST_PX:
                self._best[bucket] = _Best(worth, frame.captured_at, np.array(_at_most(image, FACE_SIDE_PX)))

    def jpeg(self) -> bytes:
        """b"" where there is no picture of the last FRESH_S seconds, or it cannot be made small enough."""
        frame = self._frame
        if frame is None or time.monotonic() - frame.captured_at > FRESH_S:
            return b""
        return _encoded(_at_most(frame.image, LONG_SIDE_PX))

    def face(self) -> bytes:
        """The best face of the last BEST_S seconds with what is around it, a JPEG; b"" where nobody stood there."""
        self._forget(time.monotonic())
        best = max(self._best.values(), key=lambda one: (one.worth, one.captured_at), default=None)
        return _encoded(best.image) if best is not None else b""

    def _forget(self, now: float) -> None:
        for bucket, one in list(self._best.items()):
            if now - one.captured_at > BEST_S:
                del self._best[bucket]


def _around(image: ImageArray, box: tuple[float, float, float, float]) -> ImageArray:
    """The part of the picture with head and shoulders; empty for a face that lies outside of it."""
    x, y, width, height = box
    half = AROUND * max(width, height) / 2
    rows, columns = image.shape[:2]
    left, right = (int(np.clip(x + width / 2 + side, 0, columns)) for side in (-half, half))
    top, bottom = (int(np.clip(y + height / 2 + side, 0, rows)) for side in (-half, half))
    return image[top:bottom, left:right]


def _at_most(image: ImageArray, long_side: int) -> ImageArray:
    scale = long_side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _encoded(image: ImageArray) -> bytes:
    for quality in QUALITIES:
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and data.nbytes <= MOST_BYTES:
            return data.tobytes()
    return b""
