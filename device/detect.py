"""Where the faces are: OpenCV's YuNet in onnxruntime."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from math import sqrt
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np

from device.halves import Halves, half
from device.runtime import CPU, open_session
from device.view import Box, View, whole
from firmware_config.errors import BadInput, BadState
from firmware_config.face import FloatArray, ImageArray

STRIDES: Final = (8, 16, 32)
"""Pixels between the anchors of YuNet's three output levels."""

INPUT: Final = "image"
AT: Final = "at"
STEP: Final = "step"
SCORE: Final = "score"
FACES: Final = "faces"
"""Of the inputs and the output of what device/detector_graph.py makes; what they are is said there."""

LONG_SIDE_PX: Final = 320
"""Input size at the door: finds faces from about 20 px in a 640x480 frame, 1.7 ms on one x86 core."""

MIN_SCORE: Final = 0.7
"""Faces below this score are dropped. Between OpenCV's demo (0.9) and WIDER FACE evaluation (0.3)."""

MAX_OVERLAP: Final = 0.3
"""Of two boxes that overlap by more (intersection over union) the better one stays: OpenCV's default."""

MAX_FACES: Final = 200
"""That one image gives at most: a group photo has fewer, and noise must not take a second."""


SIZES_KEPT: Final = 4
"""Inputs of other sizes than the latest ones are made anew: a door has the whole picture's and two or three parts'; a
page's photos, which may be any size, must not fill its memory."""


class Face(NamedTuple):
    """One detected face.

    box: x, y, width, height, pixels of the image given. landmarks: float32[5, 2] pixels, in the order
    of face.TEMPLATE. score: 0 to 1.
    """

    box: Box
    landmarks: FloatArray
    score: float


class _Here(threading.local):
    """A thread's own inputs, by height and width: the whole, and its planes without what is padded."""

    def __init__(self) -> None:
        self.canvases: OrderedDict[tuple[int, int], tuple[ImageArray, list[ImageArray]]] = OrderedDict()


class Detector:
    """YuNet: Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"."""

    def __init__(
        self,
        model_path: Path,
        threads: int = 1,
        long_side: int = LONG_SIDE_PX,
        min_score: float = MIN_SCORE,
        provider: str = CPU,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """model_path: from detector_model(). long_side: pixels, the size that images are looked at. provider,
        options: onnxruntime's names of what runs it, and how.

        Raises BadState when the file cannot be read, BadInput when it is not the detector.
        """
        try:
            model = model_path.read_bytes()
        except OSError as error:
            raise BadState(
                f"The face detector's file {model_path} cannot be read ({error.strerror}). Run `latchkey-device fetch`."
            ) from error
        self._session = open_session(model, threads, f"The face detector {model_path}", provider, options)
        given, said = self._session.get_inputs(), self._session.get_outputs()
        if [each.name for each in (*given, said[0])] != [INPUT, AT, STEP, SCORE, FACES]:
            raise BadInput(
                f"{model_path} is not YuNet 2023mar as the door runs it; take the path that "
                f"device.detector_file.detector_model() returns."
            )
        self.long_side = long_side
        # On the network's own scale: a face's score is the root of it.
        self._least = np.array([min_score**2], dtype=np.float32)
        self._here = _Here()

    def detect(self, image_bgr: ImageArray, long_side: int | None = None) -> list[Face]:
        """All faces, the largest first.

        image_bgr: uint8[H, W, 3] BGR, H and W at least 16. long_side: looks at the image at another size, for
        photos with small faces. Raises BadInput for anything that is not such an image.
        """
        return self.search(Halves(image_bgr), long_side)

    def search(self, halves: Halves, long_side: int | None = None) -> list[Face]:
        """As detect, for whoever needs the halves of the image, too."""
        image_bgr = halves.image
        if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
            raise BadInput(f"An image is uint8[H, W, 3], not {image_bgr.dtype}{list(image_bgr.shape)}.")
        if min(image_bgr.shape[:2]) < 16:
            raise BadInput(f"An image of {image_bgr.shape[1]}x{image_bgr.shape[0]} pixels is too small for a face.")
        return self.look_at(halves, whole(image_bgr, long_side or self.long_side))

    def look_at(self, halves: Halves, view: View) -> list[Face]:
        """The faces in a part of the image, the largest first. view: of this image."""
        blob = self._blob(halves, view)
        at, step = anchors(*blob.shape[2:])
        rows = self._session.run((FACES,), {INPUT: blob, AT: at, STEP: step, SCORE: self._least})[0]
        faces = [_face(row, view) for row in rows.tolist()]
        return sorted(faces, key=lambda face: -face.box[2] * face.box[3])

    def _blob(self, halves: Halves, view: View) -> ImageArray:
        """The network's input, uint8[1, 3, h, w], black where it is padded. Good until this thread asks for another."""
        canvas, inside = self._canvas(view)
        cv2.split(np.ascontiguousarray(_resized(halves, view)), inside)
        return canvas

    def _canvas(self, view: View) -> tuple[ImageArray, list[ImageArray]]:
        """Black but for what is inside, and that, which is to be written over. Kept for each thread and the latest
        sizes: fresh memory for every picture would cost as much as filling it."""
        kept = self._here.canvases
        size = view.height, view.width
        if size not in kept:
            canvas = np.zeros((1, 3, *view.padded), dtype=np.uint8)
            kept[size] = canvas, [plane[: view.height, : view.width] for plane in canvas[0]]
            if len(kept) > SIZES_KEPT:
                kept.popitem(last=False)
        return kept[size]


def _resized(halves: Halves, view: View) -> ImageArray:
    image = view.of(halves.image)
    # By halves as far as they go: a quarter comes in two fifths of the time.
    if _by_half(image, view):
        image = halves.of(view.left, view.top, view.right, view.bottom)
    while _by_half(image, view):
        image = half(image)
    if image.shape[1::-1] == (view.width, view.height):
        return image
    how = cv2.INTER_AREA if image.shape[1] > view.width else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (view.width, view.height), interpolation=how), dtype=np.uint8)


def _by_half(image: ImageArray, view: View) -> bool:
    rows, columns = image.shape[:2]
    return not (columns % (2 * view.width) or rows % (2 * view.height))


@lru_cache(maxsize=8)
def anchors(height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """AT and STEP for an input of that size, pixels."""
    places, steps = [], []
    for stride in STRIDES:
        across = width // stride
        row, column = np.divmod(np.arange(across * (height // stride)), across)
        nothing = np.zeros_like(row)
        places.append(np.stack([column * stride, row * stride, nothing, nothing], axis=1))
        steps.append(np.full((len(row), 1), stride))
    at, step = (np.concatenate(each)[np.newaxis].astype(np.float32) for each in (places, steps))
    return at, step


def _face(row: list[float], view: View) -> Face:
    """row: of FACES."""
    across, down = view.scale
    middle_x, middle_y, width, height, *marks, likely = row
    left, top = view.left + (middle_x - width / 2) * across, view.top + (middle_y - height / 2) * down
    landmarks = [(view.left + x * across, view.top + y * down) for x, y in zip(marks[::2], marks[1::2], strict=True)]
    box = left, top, width * across, height * down
    return Face(box, np.array(landmarks, dtype=np.float32), sqrt(min(likely, 1.0)))
