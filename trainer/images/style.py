"""Training faces as a certain door's camera would have taken them: its light and colours, the faces unchanged.

A picture's low frequencies say how a camera sees (exposure, cast, haze, falloff); their phases, and all the rest, say
what it sees. So the amplitudes of the lowest are exchanged for those of one of the camera's frames. FDA: Yang and
Soatto 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray
from trainer.data import IntArray
from trainer.images.files import pictures_below
from trainer.parts import Style

MOST_FRAMES: Final = 500
"""More say nothing new of a camera."""
LEAST_CONTRAST: Final = 2.0
"""Deviation in grey levels below which a frame shows nothing: the camera was off or covered."""


@dataclass(frozen=True)
class CameraStyle:
    """amplitudes: float32[F, 2 * b + 1, b + 1, C], of the lowest b frequencies of each of F frames; share: of the
    faces that change, 0 to 1; skipped: files that were no pictures or showed nothing."""

    amplitudes: FloatArray
    share: float
    skipped: int = 0

    def on(self, crop: ImageArray, random: np.random.Generator) -> ImageArray:
        """crop: uint8[S, S, C] -> the same, or, for a share of them, in the look of a frame by chance."""
        if random.random() >= self.share:
            return crop
        changed = exchange(crop.astype(np.float32), self.amplitudes[random.integers(len(self.amplitudes))])
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def exchange(image: FloatArray, amplitude: FloatArray) -> FloatArray:
    """The image with these amplitudes for its lowest frequencies, every phase as it was.

    image: float32[S, S, C], grey levels; amplitude: float32[2 * b + 1, b + 1, C] -> float32[S, S, C], not clipped.
    """
    spectrum = np.fft.rfft2(image, axes=(0, 1))
    rows, columns = lowest(image.shape[0], amplitude.shape[1] - 1)
    low = spectrum[rows, columns]
    # A frequency that is not there has no phase to keep; it stays away.
    spectrum[rows, columns] = np.where(np.abs(low) > 1e-3, low * (amplitude / np.maximum(np.abs(low), 1e-3)), low)
    changed: FloatArray = np.fft.irfft2(spectrum, s=image.shape[:2], axes=(0, 1)).astype(np.float32)
    return changed


def amplitudes_of(image: FloatArray, reach: int) -> FloatArray:
    """float32[S, S, C] -> float32[2 * reach + 1, reach + 1, C]."""
    rows, columns = lowest(image.shape[0], reach)
    found: FloatArray = np.abs(np.fft.rfft2(image, axes=(0, 1))[rows, columns]).astype(np.float32)
    return found


def lowest(side: int, reach: int) -> tuple[IntArray, slice]:
    """Where a real transform of this side has its frequencies from -reach to reach: rows, columns."""
    rows = np.concatenate([np.arange(reach + 1), np.arange(side - reach, side)])
    return rows, slice(0, reach + 1)


def read_style(style: Style, side: int, channels: int) -> CameraStyle:
    """A camera's look for faces of this size. Raises BadInput, naming the folder, when it shows nothing."""
    folder = Path(style.frames)
    files = pictures_below(folder)[:MOST_FRAMES]
    reach = max(1, int(style.beta * side))
    found = []
    for path in files:
        frame = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR)
        if frame is None or frame.std() < LEAST_CONTRAST:
            continue
        found.append(amplitudes_of(square(np.asarray(frame, dtype=np.uint8), side), reach))
    if not found:
        raise BadInput(f"There is no frame of a camera in {folder} that shows anything. Put some .jpg or .png there.")
    return CameraStyle(np.stack(found), style.share, len(files) - len(found))


def square(frame: ImageArray, side: int) -> FloatArray:
    """The middle of a frame as large as fits: uint8[H, W] or [H, W, 3] BGR -> float32[side, side, C], C 1 or 3 RGB."""
    height, width = frame.shape[:2]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    middle = frame[top : top + least, left : left + least]
    small = np.asarray(cv2.resize(middle, (side, side), interpolation=cv2.INTER_AREA))
    rgb = small[..., None] if small.ndim == 2 else small[..., ::-1]
    return np.ascontiguousarray(rgb, dtype=np.float32)
