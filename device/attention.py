"""When to look for faces: at every frame while somebody is there or something moves, seldom while nobody is.

A face in front of a door does not appear without moving, and what moves slowly enough to escape the gate is found by
the seldom look. The gate can only spare work: whatever it cannot judge is looked at.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from device.picture import Picture
from firmware_config.face import FloatArray, ImageArray

AWAKE_S: Final = 3.0
"""Seconds without a face until the door rests: longer than the gap that ends a visit (decide.VISIT_GAP_S), so that
every visit is closed, and refused where it must be, by frames at the full rate."""

GRID: Final = (80, 60)
"""Cells, across and down, whose mean brightness is compared: 8x8 pixels of a 640x480 picture. The smallest face that
the door compares, eyes 24 px apart, covers some 7x9 of them."""

MOVED_LEVELS: Final = 6.0
"""Grey levels by which 3x3 cells together must have changed. Noise of sigma 5 a pixel is 0.6 in the 72 that are looked
at of them, and less in a JPEG, where all are; somebody in front of a wall of the same grey is the seldom look's."""

SMALLEST_PX: Final = 120
"""Pictures with a smaller side are always looked at: there are too few pixels in a cell."""


class MotionGate:
    """Compares a picture with the one that was last found empty."""

    def __init__(self) -> None:
        self._empty: FloatArray | None = None
        self._now: FloatArray | None = None
        self._size = (0, 0)

    def moved(self, picture: Picture) -> bool:
        """True: something is not as in the empty scene, or nobody can tell.

        Light that changes everywhere at once (a cloud, the camera's exposure) is no motion.
        """
        if min(picture.size) < SMALLEST_PX:
            self._empty = self._now = None
            return True
        if picture.size != self._size:
            self._empty, self._size = None, picture.size
        self._now = _cells(picture.sketch)
        if self._empty is None:
            return True
        change = self._now - self._empty
        change -= np.median(change)
        blocks = np.abs(cv2.blur(change, (3, 3)))
        # Written so that a NaN counts as motion.
        return not float(blocks.max()) < MOVED_LEVELS

    def found_empty(self) -> None:
        """The picture that was last asked about shows nobody: the scene to compare with from now on."""
        self._empty = self._now


def _cells(sketch: ImageArray) -> FloatArray:
    """Mean brightness of each cell, float32[60, 80]."""
    cells = cv2.resize(np.ascontiguousarray(sketch), GRID, interpolation=cv2.INTER_AREA)
    return np.asarray(cells, dtype=np.float32)


class Attention:
    """Says of each frame whether it is worth looking for faces. One thread."""

    def __init__(self, idle_fps: float) -> None:
        """idle_fps: how often a resting door looks all the same, times a second."""
        self._every_s = 1.0 / idle_fps
        self._gate = MotionGate()
        self._last_face = float("-inf")
        self._last_look = float("-inf")
        self.resting = False
        """Nobody was there for a while, and nothing moves."""

    def wants(self, picture: Picture, at: float) -> bool:
        """True: look for faces in this frame. at: when it was taken, monotonic, s.

        While the door is awake the gate is not even asked: votes need every frame.
        """
        if at - self._last_face <= AWAKE_S:
            self.resting = False
            return True
        self.resting = not self._gate.moved(picture)
        return not self.resting or not at - self._last_look < self._every_s

    def saw(self, face: bool, at: float) -> None:
        """What came of looking. at: as for `wants`, of the same frame."""
        self._last_look = at
        if face:
            self._last_face = at
        elif at - self._last_face > AWAKE_S:
            self._gate.found_empty()
