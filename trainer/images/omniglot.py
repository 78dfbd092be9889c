"""Omniglot's files: the background drawings that may be learned from, and Lake's twenty one-shot runs."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from trainer.data import IntArray

BACKGROUND: Final = ("images_background_small1.zip", "images_background_small2.zip")
RUNS_FILE: Final = "all_runs.zip"
RUNS: Final = 20
WAYS: Final = 20


@dataclass(frozen=True)
class Drawing:
    """pixels: uint8[105, 105], ink 255. Two drawings are of one character when alphabet and character agree."""

    alphabet: str
    character: str
    drawer: str
    pixels: ImageArray


@dataclass(frozen=True)
class LakeRun:
    """examples: uint8[20, 105, 105], one of each character, by one drawer; tests: the same by another, in another
    order; answers: int64[20], which example each test is. All are of one alphabet."""

    examples: ImageArray
    tests: ImageArray
    answers: IntArray


def read_background(folder: Path) -> list[Drawing]:
    """The eight alphabets of background small 1 and 2, sorted; what is in both is there once: 242 characters with 20
    drawings each. Raises BadInput, naming the option, when they are not there. Lake et al. 2015, 2019."""
    found: dict[tuple[str, str, str], Drawing] = {}
    for name in BACKGROUND:
        for path, pixels in _drawings(_inside(folder, name)):
            _, alphabet, character, file = path.split("/")
            found[alphabet, character, file] = Drawing(alphabet, character, file.removesuffix(".png"), pixels)
    return [found[key] for key in sorted(found)]


def read_lake_runs(folder: Path) -> list[LakeRun]:
    """Lake's twenty runs of twenty-way one-shot classification. Raises BadInput. Lake et al. 2015."""
    path = _inside(folder, RUNS_FILE)
    drawings = dict(_drawings(path))
    runs = []
    with zipfile.ZipFile(path) as archive:
        for number in range(1, RUNS + 1):
            try:
                lines = archive.read(f"run{number:02d}/class_labels.txt").decode().split("\n")
                pairs = [(test, example) for test, example in (line.split() for line in lines if line.strip())]
                names = sorted({example for _, example in pairs})
                examples = np.stack([drawings[name] for name in names])
                tests = np.stack([drawings[test] for test, _ in pairs])
            except (KeyError, ValueError) as error:
                raise BadInput(f"{path} is not Lake's runs: run {number} is not whole ({error}).") from error
            answers = np.array([names.index(example) for _, example in pairs], dtype=np.int64)
            runs.append(LakeRun(examples, tests, answers))
    return runs


def _inside(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / "omniglot" / name):
        if path.is_file():
            return path
    raise BadInput(f"There is no {name} in {folder} or its omniglot folder. Say where it lies with --data DIR.")


def _drawings(path: Path) -> Iterator[tuple[str, ImageArray]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".png"):
                    image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
                    if image is None:
                        raise BadInput(f"{name} in {path} is not an image that can be read.")
                    yield name, np.asarray(255 - image, dtype=np.uint8)
    except (zipfile.BadZipFile, cv2.error, EOFError) as error:
        raise BadInput(f"{path} is not a whole zip of drawings.") from error
