"""Encoders to compare, each with the alignment that it was made for. A peer is fetched when the bench runs."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.faces import Shot
from device.align import align
from device.runtime import open_session
from firmware_config.assets import fetch
from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE, FloatArray, ImageArray
from trainer.config import TeacherFile
from trainer.export import stripped
from trainer.teaching import facesdk, facexzoo
from trainer.teaching.teachers import model_of, torch_to_onnx

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PEERS: Final = Path(__file__).with_name("peers.toml")

DLIB_CHIP_PX: Final = 150
DLIB_PADDING: Final = 0.25
"""Side and padding of dlib's face chip (dnn_face_recognition_ex.cpp)."""
DLIB_MODELS: Final = "face_recognition_models-0.3.0/face_recognition_models/models"


EDGEFACE_NUMBERS: Final = 512
EDGEFACE_PIXELS: Final = (127.5, 127.5, 127.5)
"""Mean and deviation alike."""

SCALED: Final = ("QuantizeLinear", "DequantizeLinear")
"""ONNX operators whose first input is values and whose others are their scales and zero points."""


@dataclass(frozen=True)
class Peer:
    """chip: a shot -> what the encoder takes; embed: one chip -> float32[D], unit length. key: what is embedded with,
    so that a row can be kept. threads: whether several may embed at a time. trained: False where only its time says
    something."""

    name: str
    file_bytes: int
    parameters: int
    licence: str
    chip: Callable[[Shot], ImageArray]
    embed: Callable[[ImageArray], FloatArray]
    key: str = ""
    threads: bool = False
    trained: bool = True


def parameters_of(model: bytes) -> int:
    """Weights in an ONNX file: constants of more than one dimension, and those of one, but no scales of int8."""
    graph = onnx.load(io.BytesIO(model)).graph
    skipped = {name for node in graph.node if node.op_type in SCALED for name in node.input[1:]}
    return int(sum(np.prod(part.dims) for part in graph.initializer if part.name not in skipped and part.dims))


def door_crop(shot: Shot) -> ImageArray:
    """uint8[112, 112, 3] RGB."""
    return align(shot.image, shot.face.landmarks)


def ours(name: str, model: bytes, licence: str) -> Peer:
    """An encoder of the door's contract, int8 or float32. Raises BadInput."""
    session = open_session(model, 1, name)
    given = session.get_inputs()[0].name

    def embed(chip: ImageArray) -> FloatArray:
        row: FloatArray = session.run(None, {given: chip[None]})[0][0]
        return row

    key = hashlib.sha256(model).hexdigest()
    return Peer(name, len(model), parameters_of(model), licence, door_crop, embed, key, threads=True)


def listed(path: Path = PEERS) -> list[tuple[str, TeacherFile]]:
    """A file of [[peer]]s: what the table calls each, and how it is fed. Raises BadInput, naming the entry."""
    try:
        entries = tomllib.loads(path.read_text("utf-8"))["peer"]
        return [(entry.pop("title"), TeacherFile.model_validate(entry)) for entry in entries]
    except OSError as error:
        raise BadInput(f"The list of peers {path} cannot be read: {error.strerror}.") from error
    except KeyError as error:
        raise BadInput(f"The list of peers {path} lacks {error}: it is [[peer]]s, each with a title.") from error
    except ValueError as error:  # pydantic's and tomllib's are both
        raise BadInput(f"The list of peers {path} is not right: {error}") from error


def public(title: str, file: TeacherFile, cache_dir: Path | None = None) -> Peer:
    """An encoder of float32[N, 3, 112, 112] on the door's template. Raises LostLink, BadInput, BadState."""
    if file.size != CROP_SIZE:
        raise BadInput(f"{title} wants crops of {file.size} pixels; the bench cuts {CROP_SIZE} only.")
    model = model_of(file, cache_dir)
    if file.asset in {facesdk.ASSET, facexzoo.ASSET}:  # exported just now: notes of the exporter are no weights
        model = stripped(onnx.load(io.BytesIO(model))).SerializeToString()
    embed = fed(model, title, file.mean, file.deviation, file.order == "bgr")
    key = f"{hashlib.sha256(model).hexdigest()} {file.order} {file.mean} {file.deviation}"
    return Peer(title, len(model), parameters_of(model), file.licence, door_crop, embed, key, threads=True)


def fed(
    model: bytes, title: str, mean: Sequence[float], deviation: Sequence[float], bgr: bool = False
) -> Callable[[ImageArray], FloatArray]:
    """What embeds a chip with an ONNX file of float32[N, 3, H, W], whose pixels are (grey level - mean) / deviation."""
    session = open_session(runnable(model), 1, title)
    given = session.get_inputs()[0].name
    middle, scale = (np.array(values, dtype=np.float32) for values in (mean, deviation))

    def embed(chip: ImageArray) -> FloatArray:
        pixels = (chip[:, :, ::-1] if bgr else chip).astype(np.float32)
        pixels = np.ascontiguousarray(((pixels - middle) / scale).transpose(2, 0, 1)[None])
        return unit(session.run(None, {given: pixels})[0].reshape(-1))

    return embed


def edgeface() -> Peer:
    """EdgeFace-XXS (George et al. 2023): EdgeNeXt (Maaz et al. 2022) as timm builds it, with 512 numbers and weights by
    chance. How long it takes does not hang on them, and those that were trained are not for commercial use.

    Raises ImportError where timm, or a torchvision that fits torch, is missing.
    """
    try:
        import timm  # noqa: PLC0415  # only where the bench's extra is installed
    except RuntimeError as error:
        raise ImportError(f"timm cannot be loaded: {error}") from error

    network = timm.create_model("edgenext_xx_small", pretrained=False)
    network.reset_classifier(EDGEFACE_NUMBERS)
    model = stripped(onnx.load(io.BytesIO(torch_to_onnx(network.eval(), CROP_SIZE, one=True)))).SerializeToString()
    name = "EdgeFace-XXS, weights by chance"
    embed = fed(model, name, EDGEFACE_PIXELS, EDGEFACE_PIXELS)
    licence = "architecture: Apache-2.0; trained weights: CC BY-NC-SA 4.0, not fetched"
    return Peer(name, len(model), parameters_of(model), licence, door_crop, embed, trained=False)


def runnable(model: bytes) -> bytes:
    """The same ONNX file without inputs that no node takes: OpenCV's tool for blocks of int8 leaves the float weights'
    names among the inputs, which OpenCV overlooks and onnxruntime asks for."""
    whole = onnx.load(io.BytesIO(model))
    taken = {name for node in whole.graph.node for name in node.input}
    for value in [each for each in whole.graph.input if each.name not in taken]:
        whole.graph.input.remove(value)
    return bytes(whole.SerializeToString())


def dlib_resnet(cache_dir: Path | None = None) -> Peer:
    """dlib's ResNet with its own landmarks and chip, as `face_recognition` runs it. Raises ImportError, LostLink."""
    import dlib  # noqa: PLC0415  # only where the bench's extra is installed

    with tempfile.TemporaryDirectory() as folder, tarfile.open(fetch("face-recognition-models", cache_dir)) as archive:
        paths = {}
        for name in ("shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat"):
            stream = archive.extractfile(f"{DLIB_MODELS}/{name}")
            assert stream is not None  # a file of an archive whose sha256 is right
            paths[name] = Path(folder) / name
            paths[name].write_bytes(stream.read())
        landmarks, network = (
            load(str(path))
            for load, path in zip((dlib.shape_predictor, dlib.face_recognition_model_v1), paths.values(), strict=True)
        )
        weights = paths["dlib_face_recognition_resnet_model_v1.dat"].read_bytes()

    def chip(shot: Shot) -> ImageArray:
        image: Any = np.ascontiguousarray(shot.image[:, :, ::-1])
        x, y, width, height = shot.face.box
        # dlib's landmarks were trained on its own detector's boxes: square, brow to chin.
        side, below = max(width, height * 0.8), y + height * 0.55
        box = dlib.rectangle(
            round(x + width / 2 - side / 2),
            round(below - side / 2),
            round(x + width / 2 + side / 2),
            round(below + side / 2),
        )
        cut: ImageArray = dlib.get_face_chip(image, landmarks(image, box), DLIB_CHIP_PX, DLIB_PADDING)
        return cut

    def embed(cut: ImageArray) -> FloatArray:
        return unit(np.array(network.compute_face_descriptor(cut), dtype=np.float32))

    # 5.6 million: dlib does not tell; its file holds little but float32.
    key, size = hashlib.sha256(weights).hexdigest(), len(weights)
    return Peer("dlib ResNet", size, size // 4, "public domain", chip, embed, key)


def unit(row: NDArray[np.float32]) -> FloatArray:
    """float32[D] -> the same, of length 1."""
    scaled: FloatArray = row / np.linalg.norm(row)
    return scaled
