"""Your own people: a folder with a folder for each, and pictures in it."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from trainer.data import SHARD_SIZE, Faces
from trainer.images.files import people_in, pictures_in

log = logging.getLogger(__name__)


@dataclass
class LeftOut:
    """What was not read, by reason, and people who are there with less than is useful."""

    images: Counter[str] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)
    """Folders without one readable picture."""
    single: list[str] = field(default_factory=list)
    """People with one picture: to others they are strangers, but nothing shows how they vary."""

    def sentence(self) -> str:
        """For the log; empty when nothing is amiss."""
        parts = [f"{count} pictures were left out ({reason})" for reason, count in sorted(self.images.items())]
        if self.empty:
            parts.append(f"{len(self.empty)} folders hold no picture that can be read ({self.empty[0]} first)")
        if self.single:
            parts.append(f"{len(self.single)} people have one picture only ({self.single[0]} first)")
        return "; ".join(parts) + "." if parts else ""


def read_folder(folder: Path, size: int | None = None) -> tuple[Faces, LeftOut]:
    """folder/PERSON/PICTURE, by name -> faces, and what was left out.

    size: grey and squeezed to uint8[N, size, size, 1], for the small networks; None for a door's network: crops of
    128x128 as `latchkey-trainer align` writes them, uint8[N, 128, 128, 3] RGB. Raises BadInput when the folder is not
    there or fewer than two people are in it. Files in the folder itself (lists, readmes) are passed over.
    """
    try:
        people = people_in(folder)
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be read: {error.strerror}. Say which with --data DIR.") from error
    left_out = LeftOut()
    pixels: list[ImageArray] = []
    keys: list[str] = []
    identities: list[int] = []
    known = 0
    for person in people:
        own = []
        for path in pictures_in(person):
            image = _picture(path, size, left_out)
            if image is not None:
                own.append(image)
                keys.append(f"{person.name}/{path.name}")
        if not own:
            left_out.empty.append(person.name)
            continue
        if len(own) == 1:
            left_out.single.append(person.name)
        pixels += own
        identities += [known] * len(own)
        known += 1
    if said := left_out.sentence():
        log.warning("%s: %s", folder, said)
    if known < 2:
        raise BadInput(f"{folder} has pictures of {known} people; training wants a folder each of two or more. {said}")
    return Faces(np.stack(pixels), np.array(identities, dtype=np.int64), tuple(keys)), left_out


def _picture(path: Path, size: int | None, left_out: LeftOut) -> ImageArray | None:
    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        image = None
    if image is None:
        left_out.images["cannot be read"] += 1
        return None
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels not in (1, 3) or image.dtype != np.uint8:
        left_out.images["neither grey nor colour of 8 bits"] += 1
        return None
    if size is not None:
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return np.asarray(cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)[..., None]
    if image.shape[:2] != (SHARD_SIZE, SHARD_SIZE):
        left_out.images[f"not {SHARD_SIZE}x{SHARD_SIZE}: latchkey-trainer align makes crops of photographs"] += 1
        return None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_BGR2RGB), dtype=np.uint8)
