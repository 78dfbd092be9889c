"""Where to look for faces in the next picture: around the face of the last one, and now and then everywhere.

Searching a picture is a third to a half of what it costs, and most of what is searched is wall. Where a face was a
moment ago it still is, or next to it: two of three pictures are searched there alone, as MediaPipe does it (Lugaresi et
al. 2019), though by the same detector. Where that does not find what it should, the picture is searched whole at once.
"""

from __future__ import annotations

from typing import Final

from device.detect import Detector, Face
from device.halves import Halves
from device.view import View, around, whole
from firmware_config.face import ImageArray

CLOSE_LOOKS: Final = 2
"""One after the other at the most: at 15 frames a second, somebody else is seen 133 ms late."""

FRESH_S: Final = 0.5
"""Seconds between two pictures, at most: later, a face may be anywhere."""

PAYS_BELOW: Final = 0.6
"""Share of the whole input, in pixels, above which looking at a part spares too little."""

CLEAR: Final = 0.1
"""Of a face's longer side: as far from the edge of the part it has to be, or there may be more of it outside."""


class Follower:
    """A detector's eyes on one camera. One thread."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.close_looks = 0
        """Since the last whole one."""
        self._face: Face | None = None
        self._at = float("-inf")
        self._shape: tuple[int, ...] = ()

    def find(self, halves: Halves, at: float) -> list[Face]:
        """The faces in the camera's next picture, or in the part of it that is searched; the largest first.

        halves: of that picture. at: when it was taken, monotonic, s. Raises BadInput as Detector.detect does.
        """
        faces = self._close_look(halves, at)
        if faces:
            self.close_looks += 1
        else:
            self.close_looks = 0
            faces = self.detector.search(halves)
        self._face, self._at, self._shape = faces[0] if faces else None, at, halves.image.shape
        return faces

    def _close_look(self, halves: Halves, at: float) -> list[Face]:
        """Nothing where the whole picture is to be looked at."""
        face, image = self._face, halves.image
        if face is None or self.close_looks == CLOSE_LOOKS or image.shape != self._shape:
            return []
        if not 0 <= at - self._at <= FRESH_S:
            return []
        long_side = self.detector.long_side
        view = around(image, long_side, face.box)
        if view.area > PAYS_BELOW * whole(image, long_side).area:
            return []
        faces = self.detector.look_at(halves, view)
        return faces if faces and _clear_of_edges(faces[0], view, image) else []


def _clear_of_edges(face: Face, view: View, image: ImageArray) -> bool:
    """An edge of the image is no edge: there is no more of the face to see."""
    x, y, width, height = face.box
    room = CLEAR * max(width, height)
    rows, columns = image.shape[:2]
    return (
        (x - room >= view.left or view.left == 0)
        and (y - room >= view.top or view.top == 0)
        and (x + width + room <= view.right or view.right == columns)
        and (y + height + room <= view.bottom or view.bottom == rows)
    )
