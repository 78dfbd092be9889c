"""Verification on published protocols, through the door's own code: detect, align, embed."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from device.align import align
from device.detect import Detector, detector_model
from device.embed import Encoder
from firmware_config.att import att_faces
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE, TEMPLATE, FloatArray, ImageArray, distance
from trainer.metrics import equal_error_rate, pair_table, true_accept_rate

LFW_ARCHIVE: Final = "lfw.tar"
LFW_PAIRS: Final = 6000
FOLDS: Final = 10

MARGIN_SHARE: Final = 0.25
"""Border added on each side before detection, of the image's side: both sets cut faces so close that the
detector wants more around them."""


@dataclass(frozen=True)
class Cropped:
    """crops: uint8[N, 112, 112, 3] RGB; missed: how many had no face found and were cut by their middle."""

    crops: ImageArray
    missed: int


def evaluate(bundle: bytes, protocol: str, data: Path, cache_dir: Path | None = None) -> dict[str, Any]:
    """EER, TAR at false match rates and, for LFW, the ten-fold accuracy of a bundle's int8 encoder.

    protocol: "lfw" (View 2, `data`/lfw.tar) or "att" (all pairs of the 400 photos, fetched). Raises BadInput,
    naming the option when the data is not there, LostLink when it cannot be fetched.
    """
    read = read_bundle(bundle, trusted=None)
    encoder = Encoder(read.onnx, threads=2)
    tau = read.calibration.tau_at(1e-3)
    result: dict[str, Any] = {"protocol": protocol, "encoder_id": encoder.encoder_id}
    if protocol == "lfw":
        images, pairs, same = read_lfw(data)
        cropped = crop_all(images, cache_dir)
        embeddings = _embed(encoder, cropped.crops)
        distances = distance(embeddings[pairs[:, 0]], embeddings[pairs[:, 1]])
        genuine, impostor = distances[same], distances[~same]
        accuracy = ten_fold(distances, same)
        result |= {"accuracy": float(accuracy.mean()), "accuracy_std": float(accuracy.std(ddof=1))}
    elif protocol == "att":
        people = att_faces(cache_dir)
        photos = [cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR) for row in people.values() for photo in row]
        cropped = crop_all(photos, cache_dir)
        identities = np.repeat(np.arange(len(people)), [len(row) for row in people.values()])
        table = pair_table(_embed(encoder, cropped.crops), identities.astype(np.int64))
        genuine, impostor = table.genuine, table.impostor
    else:
        raise BadInput(f"There is no protocol {protocol!r}; there are lfw and att.")
    return result | {
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostor),
        "images": len(cropped.crops),
        "not_detected": cropped.missed,
        "eer": equal_error_rate(genuine, impostor),
        "tar_at_fmr_1e-2": true_accept_rate(genuine, impostor, 1e-2),
        "tar_at_fmr_1e-3": true_accept_rate(genuine, impostor, 1e-3),
        "at_bundle_tau_1e-3": {
            "tau": tau,
            "tar": float(np.mean(genuine <= tau)),
            "fmr": float(np.mean(impostor <= tau)),
        },
    }


def sentence(result: dict[str, Any]) -> str:
    """A result for a person."""
    accuracy = f"accuracy {result['accuracy']:.4f}, " if "accuracy" in result else ""
    return (
        f"{result['protocol']}: {accuracy}EER {result['eer']:.4f}, TAR {result['tar_at_fmr_1e-2']:.4f} at FMR "
        f"1e-2 and {result['tar_at_fmr_1e-3']:.4f} at 1e-3, over {result['genuine_pairs']} genuine and "
        f"{result['impostor_pairs']} impostor pairs; no face was found in {result['not_detected']} of "
        f"{result['images']} images."
    )


def ten_fold(distances: FloatArray, same: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """LFW's View 2: each tenth is judged by the threshold that is best on the other nine. float64[10].

    distances: float32[N] in the order of pairs.txt; same: bool[N]. Huang et al. 2007.
    """
    fold = np.arange(len(distances)) * FOLDS // len(distances)
    thresholds = np.linspace(0.0, 2.0, 801)
    right = np.stack([(distances <= threshold) == same for threshold in thresholds])
    accuracies = np.empty(FOLDS)
    for k in range(FOLDS):
        best = int(np.argmax(right[:, fold != k].mean(axis=1)))
        accuracies[k] = right[best, fold == k].mean()
    return accuracies


def crop_all(images: list[ImageArray], cache_dir: Path | None = None) -> Cropped:
    """Each image's most central face, aligned. images: uint8[H, W, 3] BGR. Without a face: the middle."""
    detector = Detector(detector_model(cache_dir))
    crops = np.empty((len(images), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    missed = 0
    for row, image in enumerate(images):
        border = round(max(image.shape[:2]) * MARGIN_SHARE)
        framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
        middle = np.array([framed.shape[1], framed.shape[0]], dtype=np.float32) / 2.0
        faces = detector.detect(framed)
        if faces:
            nearest = min(faces, key=lambda face: float(np.linalg.norm(face.landmarks.mean(axis=0) - middle)))
            landmarks = nearest.landmarks
        else:
            missed += 1
            # Half of the image's side from eyes to mouth and around, as both sets are framed.
            scale = min(image.shape[:2]) / CROP_SIZE * 0.75
            landmarks = ((TEMPLATE - TEMPLATE.mean(axis=0)) * scale + middle).astype(np.float32)
        crops[row] = align(framed, landmarks)
    return Cropped(crops, missed)


def read_lfw(folder: Path) -> tuple[list[ImageArray], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The images, BGR, and View 2: int64[6000, 2] rows of them, bool[6000] the same person. Raises BadInput."""
    path = folder / LFW_ARCHIVE
    if not path.exists():
        raise BadInput(f"There is no {LFW_ARCHIVE} in {folder}. Say where it lies with --data DIR.")
    images: list[ImageArray] = []
    rows: dict[str, int] = {}
    text = ""
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is None:
                continue
            name = Path(member.name)
            if name.name == "pairs.txt":
                text = stream.read().decode()
            elif name.suffix in (".jpg", ".webp", ".png"):
                rows[name.stem] = len(images)
                decoded = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_COLOR)
                if decoded is None:
                    raise BadInput(f"{member.name} in {path} is not an image.")
                images.append(decoded)
    pairs, same = parse_pairs(text)
    missing = {name for pair in pairs for name in pair} - rows.keys()
    if missing or not pairs:
        raise BadInput(f"{path} lacks {len(missing)} images of its {len(pairs)} pairs; it is not whole.")
    return images, np.array([[rows[a], rows[b]] for a, b in pairs], dtype=np.int64), np.array(same)


def parse_pairs(text: str) -> tuple[list[tuple[str, str]], list[bool]]:
    """pairs.txt -> names of images, and whether they are the same person.

    `name i j` is two images of one, `name i other j` of two people; other lines are counts. Raises BadInput.
    """
    pairs: list[tuple[str, str]] = []
    same: list[bool] = []
    for number, line in enumerate(io.StringIO(text), start=1):
        words = line.split()
        try:
            if len(words) == 3:
                pairs.append((f"{words[0]}_{int(words[1]):04d}", f"{words[0]}_{int(words[2]):04d}"))
                same.append(True)
            elif len(words) == 4:
                pairs.append((f"{words[0]}_{int(words[1]):04d}", f"{words[2]}_{int(words[3]):04d}"))
                same.append(False)
        except ValueError as error:
            raise BadInput(f"Line {number} of pairs.txt is not a pair: {line.strip()!r}.") from error
    return pairs, same


def _embed(encoder: Encoder, crops: ImageArray, batch: int = 64) -> FloatArray:
    return np.concatenate([encoder.embed(crops[i : i + batch]) for i in range(0, len(crops), batch)])
