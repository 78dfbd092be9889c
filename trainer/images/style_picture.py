"""Faces before and after they take a camera's look, side by side."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from matplotlib.figure import Figure

from firmware_config.att import att_faces
from firmware_config.face import ImageArray
from trainer.images.files import pictures_below
from trainer.images.shots import crop_all
from trainer.images.style import CameraStyle, square

SIDE: Final = 112
SHOWN: Final = 6
"""Columns of the picture."""


def before_and_after(style: CameraStyle, frames: Path, cache_dir: Path | None = None) -> bytes:
    """A PNG: frames of the camera, AT&T faces, the same faces in its look. Raises LostLink when AT&T is not there."""
    photos = [cv2.cvtColor(row[0], cv2.COLOR_GRAY2BGR) for row in list(att_faces(cache_dir).values())[:SHOWN]]
    faces = list(crop_all([np.asarray(photo, dtype=np.uint8) for photo in photos], cache_dir).crops)
    random = np.random.default_rng(0)
    rows = {
        "camera": _some_frames(frames),
        "before": faces,
        "after": [style.on(face, random) for face in faces],
    }
    figure = Figure(figsize=(2 * SHOWN, 6.4))
    axes = figure.subplots(len(rows), SHOWN)
    for row, (name, images) in enumerate(rows.items()):
        for column in range(SHOWN):
            axis = axes[row, column]
            axis.axis("off")
            if column < len(images):
                axis.imshow(images[column])
        axes[row, 0].set_title(name, loc="left")
    figure.suptitle("Faces (AT&T Laboratories Cambridge) in the look of a door's camera")
    stream = io.BytesIO()
    figure.savefig(stream, dpi=90, bbox_inches="tight", metadata={"Software": None})
    return stream.getvalue()


def _some_frames(folder: Path) -> list[ImageArray]:
    files = pictures_below(folder)
    read = [cv2.imread(str(path)) for path in files[:: max(1, len(files) // SHOWN)][:SHOWN]]
    return [square(np.asarray(frame, dtype=np.uint8), SIDE).astype(np.uint8) for frame in read if frame is not None]
