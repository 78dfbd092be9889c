"""Where the faces are: OpenCV's YuNet in onnxruntime, decoded with numpy."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from device.runtime import CPU, open_session
from firmware_config.assets import fetch
from firmware_config.errors import BadInput, BadState
from firmware_config.face import FloatArray, ImageArray
from firmware_config.files import write_atomic

STRIDES: Final = (8, 16, 32)
"""Pixels between the anchors of YuNet's three output levels."""

INPUT_MULTIPLE: Final = 32
"""The input's sides are multiples of the coarsest stride, pixels."""

LONG_SIDE_PX: Final = 320
"""Input size at the door: finds faces from about 20 px in a 640x480 frame, 1.7 ms on one x86 core."""

MIN_SCORE: Final = 0.7
"""Faces below this score are dropped. Between OpenCV's demo (0.9) and WIDER FACE evaluation (0.3)."""

MAX_OVERLAP: Final = 0.3
"""Of two boxes that overlap by more (intersection over union) the better one stays: OpenCV's default."""

MAX_CANDIDATES: Final = 200
"""Boxes that enter the suppression: a crowd at a door is ten people with some ten boxes each."""


@dataclass(frozen=True)
class Face:
    """One detected face.

    box: x, y, width, height, pixels of the image given. landmarks: float32[5, 2] pixels, in the order
    of face.TEMPLATE. score: 0 to 1.
    """

    box: tuple[float, float, float, float]
    landmarks: FloatArray
    score: float


def detector_model(cache_dir: Path | None = None) -> Path:
    """The YuNet file with any input size, made once from the official one and kept beside it.

    cache_dir: as for assets.fetch -> a path that Detector takes. Raises LostLink as assets.fetch does.
    """
    official = fetch("yunet", cache_dir)
    flexible = official.with_name(f"{official.stem}-anysize.onnx")
    if not flexible.is_file():
        write_atomic(flexible, _any_size(official.read_bytes()), mode=0o644)
    return flexible


def _any_size(model: bytes) -> bytes:
    # Imported here: the daemon needs onnx on its first start only, and it is 20 MB of memory.
    import onnx  # noqa: PLC0415

    graph = onnx.load_from_string(model)
    names = ("height", "width")
    for dimension, name in zip(graph.graph.input[0].type.tensor_type.shape.dim[2:], names, strict=True):
        dimension.dim_param = name
    for output in graph.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = f"anchors_{output.name}"
    # Shapes of the values in between were written for 640x640 and would contradict the input.
    del graph.graph.value_info[:]
    return bytes(graph.SerializeToString(deterministic=True))


class Detector:
    """YuNet: Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"."""

    def __init__(
        self,
        model_path: Path,
        threads: int = 1,
        long_side: int = LONG_SIDE_PX,
        min_score: float = MIN_SCORE,
        provider: str = CPU,
    ) -> None:
        """model_path: from detector_model(). long_side: pixels, the size that images are looked at. provider:
        onnxruntime's name of what runs it.

        Raises BadState when the file cannot be read, BadInput when it is not the detector.
        """
        try:
            model = model_path.read_bytes()
        except OSError as error:
            raise BadState(
                f"The face detector's file {model_path} cannot be read ({error.strerror}). Run `latchkey-device fetch`."
            ) from error
        self._session = open_session(model, threads, f"The face detector {model_path}", provider)
        self._outputs = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps")]
        given = {output.name for output in self._session.get_outputs()}
        shape = self._session.get_inputs()[0].shape
        if not given.issuperset(self._outputs) or isinstance(shape[2], int):
            raise BadInput(
                f"{model_path} is not YuNet 2023mar with a free input size; take the path that "
                f"device.detect.detector_model() returns."
            )
        self._input = self._session.get_inputs()[0].name
        self.long_side = long_side
        self.min_score = min_score
        self._here = threading.local()

    def detect(self, image_bgr: ImageArray, long_side: int | None = None) -> list[Face]:
        """All faces, the largest first.

        image_bgr: uint8[H, W, 3] BGR, H and W at least 16. long_side: looks at the image at another size, for
        photos with small faces. Raises BadInput for anything that is not such an image.
        """
        if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
            raise BadInput(f"An image is uint8[H, W, 3], not {image_bgr.dtype}{list(image_bgr.shape)}.")
        if min(image_bgr.shape[:2]) < 16:
            raise BadInput(f"An image of {image_bgr.shape[1]}x{image_bgr.shape[0]} pixels is too small for a face.")
        blob, ratio = self._blob(image_bgr, long_side or self.long_side)
        outputs = dict(zip(self._outputs, self._session.run(self._outputs, {self._input: blob}), strict=True))
        found = _decode(outputs, blob.shape[2], blob.shape[3], self.min_score)
        faces = [_face(row, ratio) for row in _suppress(found)]
        return sorted(faces, key=lambda face: -face.box[2] * face.box[3])

    def _blob(self, image: ImageArray, long_side: int) -> tuple[FloatArray, FloatArray]:
        """The network's input, float32[1, 3, h, w], padded with black at right and below to INPUT_MULTIPLE; and
        float32[2], image pixels per input pixel in x and y. The input is good until this thread asks for another.
        """
        height, width = image.shape[:2]
        scale = long_side / max(height, width)
        new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
        if (new_width, new_height) != (width, height):
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            image = np.asarray(cv2.resize(image, (new_width, new_height), interpolation=how), dtype=np.uint8)
        rows, columns = (-(-side // INPUT_MULTIPLE) * INPUT_MULTIPLE for side in (new_height, new_width))
        blob = self._canvas(rows, columns, (new_height, new_width))
        for plane, channel in zip(blob[0], cv2.split(np.ascontiguousarray(image)), strict=True):
            plane[:new_height, :new_width] = channel
        return blob, np.array([width / new_width, height / new_height], dtype=np.float32)

    def _canvas(self, rows: int, columns: int, inside: tuple[int, int]) -> FloatArray:
        """Black but for what is inside, which is to be written over. One for each thread: a megabyte of fresh memory
        for every picture would cost as much as filling it."""
        if getattr(self._here, "key", None) != (rows, columns, inside):
            self._here.key = (rows, columns, inside)
            self._here.canvas = np.zeros((1, 3, rows, columns), dtype=np.float32)
        canvas: FloatArray = self._here.canvas
        return canvas


def _decode(outputs: dict[str, FloatArray], rows: int, columns: int, min_score: float) -> FloatArray:
    """The three levels' outputs -> float32[N, 15] above min_score: x, y, w, h, ten landmark coordinates, score, in
    input pixels. rows, columns: of the input. OpenCV's FaceDetectorYNImpl::postProcess.
    """
    classes, objects, boxes, points = (
        np.concatenate([outputs[f"{kind}_{stride}"][0] for stride in STRIDES]) for kind in ("cls", "obj", "bbox", "kps")
    )
    anchors = _anchors(rows, columns)
    if len(classes) != len(anchors):
        raise BadState(f"YuNet gave {len(classes)} anchors where {len(anchors)} were expected for {columns}x{rows}.")
    score = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
    kept = np.flatnonzero(score >= min_score)
    if not len(kept):
        return np.empty((0, 15), dtype=np.float32)
    anchor, stride = anchors[kept, :2], anchors[kept, 2:]
    centre = (anchor + boxes[kept, :2]) * stride
    size = np.exp(boxes[kept, 2:]) * stride
    corners = points[kept].reshape(-1, 5, 2) + anchor[:, None]
    found = [centre - size / 2, size, (corners * stride[:, None]).reshape(-1, 10), score[kept, None]]
    return np.concatenate(found, axis=1).astype(np.float32)


@lru_cache(maxsize=8)
def _anchors(rows: int, columns: int) -> FloatArray:
    """float32[A, 3]: column, row and stride of every anchor, level by level."""
    levels = []
    for stride in STRIDES:
        wide = columns // stride
        number = np.arange(wide * (rows // stride))
        levels.append(np.stack([number % wide, number // wide, np.full_like(number, stride)], axis=1))
    return np.concatenate(levels).astype(np.float32)


def _suppress(found: FloatArray) -> FloatArray:
    """Non-maximum suppression: float32[N, 15] -> the rows that stay, best first."""
    found = found[np.argsort(-found[:, 14], kind="stable")][:MAX_CANDIDATES]
    left_top, right_bottom = found[:, :2], found[:, :2] + found[:, 2:4]
    area = found[:, 2] * found[:, 3]
    stays = np.ones(len(found), dtype=bool)
    for best in range(len(found)):
        if not stays[best]:
            continue
        sides = np.minimum(right_bottom[best], right_bottom) - np.maximum(left_top[best], left_top)
        shared = np.prod(np.maximum(sides, 0), axis=1)
        overlap = shared / np.maximum(area[best] + area - shared, 1e-9)
        overlap[: best + 1] = 0
        stays &= overlap <= MAX_OVERLAP
    kept: FloatArray = found[stays]
    return kept


def _face(row: FloatArray, ratio: FloatArray) -> Face:
    x, y, width, height = (float(value) for value in row[:4] * np.tile(ratio, 2))
    return Face((x, y, width, height), row[4:14].reshape(5, 2) * ratio, float(row[14]))
