"""Labeled Faces in the Wild: its images, the 6,000 pairs of View 2, and how they are judged. For reporting only."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray

LFW_ARCHIVE: Final = "lfw.tar"
FOLDS: Final = 10


@dataclass(frozen=True)
class Lfw:
    """images: BGR, as they are in the archive; identities: int64[N]; pairs: int64[6000, 2] rows of the images."""

    images: list[ImageArray]
    identities: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]

    @property
    def same(self) -> npt.NDArray[np.bool_]:
        """Whether each pair shows one person, bool[6000]."""
        return np.asarray(self.identities[self.pairs[:, 0]] == self.identities[self.pairs[:, 1]])


def read_lfw(folder: Path) -> Lfw:
    """`folder`/lfw.tar: NAME_0001.webp (or .jpg, .png) and pairs.txt. Raises BadInput, naming the option."""
    path = folder / LFW_ARCHIVE
    if not path.exists():
        raise BadInput(f"There is no {LFW_ARCHIVE} in {folder}. Say where it lies with --data DIR.")
    images: list[ImageArray] = []
    rows: dict[str, int] = {}
    text = ""
    try:
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
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a whole archive: {error}.") from error
    pairs = parse_pairs(text)
    missing = {name for pair in pairs for name in pair} - rows.keys()
    if missing or not pairs:
        raise BadInput(f"{path} lacks {len(missing)} images of its {len(pairs)} pairs; it is not whole.")
    _, identities = np.unique([name.rsplit("_", 1)[0] for name in rows], return_inverse=True)
    return Lfw(images, identities.astype(np.int64), np.array([[rows[a], rows[b]] for a, b in pairs], dtype=np.int64))


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """pairs.txt -> names of images, `NAME_0001` each.

    `name i j` is two images of one person, `name i other j` of two; other lines are counts. Raises BadInput.
    """
    pairs: list[tuple[str, str]] = []
    for number, line in enumerate(io.StringIO(text), start=1):
        words = line.split()
        try:
            if len(words) == 3:
                pairs.append((f"{words[0]}_{int(words[1]):04d}", f"{words[0]}_{int(words[2]):04d}"))
            elif len(words) == 4:
                pairs.append((f"{words[0]}_{int(words[1]):04d}", f"{words[2]}_{int(words[3]):04d}"))
        except ValueError as error:
            raise BadInput(f"Line {number} of pairs.txt is not a pair: {line.strip()!r}.") from error
    return pairs


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
