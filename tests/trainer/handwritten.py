"""Omniglot and MNIST in miniature, in the files' own shapes: no test needs the real ones or a network."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np

from firmware_config.face import ImageArray

ALPHABETS = ("Ones", "Twos", "Threes")
CHARACTERS = 4
DRAWERS = 3


def page(character: int, drawer: int, size: int = 105) -> ImageArray:
    """Ink bright. A ring with a bar whose angle tells characters apart, in the drawer's place and size."""
    random = np.random.default_rng([character, drawer])
    drawn = np.zeros((size, size), dtype=np.uint8)
    middle = np.array([size / 2, size / 2]) + random.uniform(-0.08, 0.08, 2) * size
    radius = size * random.uniform(0.18, 0.24)
    angle = character * np.pi / 7 + random.normal(0, 0.05)
    end = middle + 1.7 * radius * np.array([np.cos(angle), np.sin(angle)])
    thick = max(2, size // 35)
    cv2.circle(drawn, tuple(int(x) for x in middle), int(radius), 255, thick)
    cv2.line(drawn, tuple(int(x) for x in middle), tuple(int(x) for x in end), 255, thick)
    return drawn


def write_omniglot(folder: Path) -> None:
    """Both background files, which share an alphabet, and twenty runs."""
    for number, alphabets in enumerate((ALPHABETS[:2], ALPHABETS[1:]), start=1):
        with zipfile.ZipFile(folder / f"images_background_small{number}.zip", "w") as archive:
            for alphabet in alphabets:
                for character in range(CHARACTERS):
                    for drawer in range(DRAWERS):
                        own = CHARACTERS * ALPHABETS.index(alphabet) + character
                        name = f"{alphabet}/character{character + 1:02d}/{own:04d}_{drawer + 1:02d}.png"
                        archive.writestr(f"images_background_small{number}/{name}", _png(page(own, drawer)))
    with zipfile.ZipFile(folder / "all_runs.zip", "w") as archive:
        for run in range(1, 21):
            order = np.random.default_rng(run).permutation(20)
            lines = []
            for place, character in enumerate(order, start=1):
                archive.writestr(f"run{run:02d}/test/item{place:02d}.png", _png(page(int(character), 100 + run)))
                archive.writestr(f"run{run:02d}/training/class{character + 1:02d}.png", _png(page(int(character), run)))
                lines.append(
                    f"run{run:02d}/test/item{place:02d}.png run{run:02d}/training/class{character + 1:02d}.png"
                )
            archive.writestr(f"run{run:02d}/class_labels.txt", "\n".join(lines) + "\n")


def write_mnist(path: Path, each: int = 4) -> None:
    """The package, with so many drawings of each digit."""
    pages = np.stack([page(digit, copy, 28) for copy in range(each) for digit in range(10)])
    labels = np.tile(np.arange(10, dtype=np.uint8), each)
    with tarfile.open(path, "w:gz") as archive:
        for name, array in (("train-images-idx3-ubyte", pages), ("train-labels-idx1-ubyte", labels)):
            data = idx(array)
            entry = tarfile.TarInfo(f"package/data/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def idx(array: ImageArray) -> bytes:
    """As MNIST's files are written."""
    return b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _png(ink: ImageArray) -> bytes:
    return cv2.imencode(".png", 255 - ink)[1].tobytes()
