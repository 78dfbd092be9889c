"""A student that an older encoder's templates can be compared with: its targets are moved to where those are.

Two steps, the first of which is free:
- the teachers' 128 numbers are turned as a whole to where the older encoder's are (lessons.TurnedLessons);
- each target is drawn towards the person's home, the middle of what the older encoder says of all their pictures. With
  unit rows that is the same as a second regression beside the first: |f - t|^2 + w |f - h|^2 = const - 2 f.(t + w h).

A person's middle, not the older row of that very picture: Shen, Xiong, Xia, Soatto 2020 found that repeating the older
encoder picture by picture keeps its faults too, and let the new one agree with the older classifier instead, whose
vector for a person they take to be just this middle where the older classifier did not know them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from device.embed import Encoder
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput, BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray
from firmware_config.files import write_atomic
from trainer.config import OldEncoder
from trainer.data import Faces, IntArray
from trainer.teaching.lessons import Lesson, Lessons

BATCH: Final = 256
"""Crops that the older encoder is asked about at a time."""
SAID_EVERY: Final = 64


def load_old(old: OldEncoder, threads: int = 1) -> Encoder:
    """The older encoder as doors run it. Raises BadInput."""
    try:
        bundle = read_bundle(Path(old.bundle).read_bytes(), trusted=None)
    except OSError as error:
        raise BadInput(f"The older encoder {old.bundle} cannot be read: {error.strerror}.") from error
    if bundle.manifest.encoder_id != old.encoder_id:
        raise BadInput(
            f"{old.bundle} holds encoder {bundle.manifest.encoder_id}, not the one that the configuration pins."
        )
    return Encoder(bundle.onnx, threads)


def homes(encoder: Encoder, faces: Faces, folder: Path, say: Callable[[str], None]) -> FloatArray:
    """Where the older encoder puts the person of each crop: float32[M, 128], unit rows. Kept in `folder`: asking takes
    minutes. Raises BadState for a damaged file."""
    made_of = hashlib.sha256(f"{faces.fingerprint()} {encoder.encoder_id}".encode()).hexdigest()
    path = folder / f"homes-{made_of[:16]}.npy"
    if path.exists():
        try:
            kept: FloatArray = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BadState(f"{path} is damaged ({error}). Remove it; it will be made again.") from error
        if kept.dtype != np.float32 or kept.shape != (len(faces), EMBEDDING_SIZE):
            raise BadState(f"{path} is not of these crops. Remove it; it will be made again.")
        return kept
    rows = np.empty((len(faces), EMBEDDING_SIZE), np.float32)
    crops = faces.centre()
    for number, start in enumerate(range(0, len(crops), BATCH), start=1):
        part = np.ascontiguousarray(crops[start : start + BATCH])
        # Its mirror image too, as kept lessons ask the teachers.
        both = encoder.embed(part) + encoder.embed(np.ascontiguousarray(part[:, :, ::-1]))
        rows[start : start + BATCH] = _unit(both)
        if number % SAID_EVERY == 0:
            say(f"older encoder: {start + len(part)} of {len(crops)} crops")
    made = middles(rows, faces.identities)
    stream = io.BytesIO()
    np.save(stream, made, allow_pickle=False)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, stream.getvalue(), 0o644)
    return made


def middles(rows: FloatArray, identities: IntArray) -> FloatArray:
    """float32[M, 128] unit rows -> for each row the middle of its person's, unit."""
    sums = np.zeros((int(identities.max()) + 1, rows.shape[1]), np.float64)
    np.add.at(sums, identities, rows)
    return _unit(sums[identities])


class CompatibleLessons:
    """Lessons that are turned to the older encoder, with each target drawn home."""

    def __init__(self, lessons: Lessons, home: FloatArray, weight: float) -> None:
        """home: float32[M, 128], one row for each crop of the lessons; weight: at least 0."""
        self._lessons, self._home, self._weight = lessons, home, weight
        self.turns, self.count = lessons.turns, lessons.count

    def read(self, look: int, rows: IntArray, random: np.random.Generator) -> Lesson:
        """The lesson on these crops. A blend's home lies between those of its two people, by their shares."""
        lesson = self._lessons.read(look, rows, random)
        home = self._home[rows]
        if lesson.blend is not None:
            other, share = lesson.blend
            home = _unit(home * (1 - share[:, None]) + self._home[other] * share[:, None])
        return replace(lesson, targets=_unit(lesson.targets + self._weight * home))

    def sample(self) -> tuple[IntArray, FloatArray]:
        """Of the other lessons, moved."""
        rows, targets = self._lessons.sample()
        return rows, _unit(targets + self._weight * self._home[rows])


def _unit(rows: FloatArray | npt.NDArray[np.float64]) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: FloatArray = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
