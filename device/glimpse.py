"""The camera's newest picture for somebody at the page: small enough for one message, kept nowhere."""

from __future__ import annotations

import time
from typing import Final

import cv2

from device.camera import Frame

LONG_SIDE_PX: Final = 640
"""A face at the door's usual distance still has 100 pixels: enough to enrol from."""
MOST_BYTES: Final = 64 * 1024
"""Sealed and in base64 it is 88 kB; an answer has 128."""
QUALITIES: Final = (88, 75, 60, 40)
FRESH_S: Final = 2.0
"""An older picture does not show who stands there now."""


class Glimpse:
    """Keeps the newest frame until the next one comes. On the loop's thread."""

    def __init__(self) -> None:
        self._frame: Frame | None = None

    def see(self, frame: Frame) -> None:
        """frame: as it came from the camera."""
        self._frame = frame

    def jpeg(self) -> bytes:
        """b"" where there is no picture of the last FRESH_S seconds, or it cannot be made small enough."""
        frame = self._frame
        if frame is None or time.monotonic() - frame.captured_at > FRESH_S:
            return b""
        image = frame.image
        scale = LONG_SIDE_PX / max(image.shape[:2])
        if scale < 1:
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        for quality in QUALITIES:
            done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if done and data.nbytes <= MOST_BYTES:
                return data.tobytes()
        return b""
