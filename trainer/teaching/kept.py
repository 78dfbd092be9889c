"""Lessons written down once: what teachers say of every crop, its mirror image and blends, for training on CPUs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import torch

from firmware_config.errors import BadState
from firmware_config.face import CROP_SIZE, FloatArray, ImageArray
from firmware_config.files import write_atomic
from trainer.config import Config
from trainer.data import Faces, IntArray
from trainer.encoders import normalise
from trainer.images.looks import look as appear
from trainer.teaching.lessons import LEAST_BLEND, MOST_BLEND, Aim, Lesson, ask, fit_aim, together
from trainer.teaching.teachers import Teacher

BATCH: Final = 256
"""Crops that the teachers are asked about at a time."""
SAID_EVERY: Final = 16
"""Batches between two lines of progress and two notes of how far it is."""
PLAIN: Final = "plain"
MIRROR: Final = "mirror"
NOTE: Final = "note.json"
SAMPLE: Final = 16384
"""Crops that stand for all: 128 for each number of an embedding."""


class KeptLessons:
    """A folder of lessons; a stopped writing goes on.

    Files, M crops: rows-plain.npy, rows-mirror.npy and rows-mix-K.npy, float32[M, D]. Pixels are not kept: the student
    sees crops moved anew, and is told what the teachers said of crop and mirror image together.
    """

    def __init__(self, config: Config, faces: Faces, folder: Path) -> None:
        assert config.distill is not None
        assert config.look is not None
        plan, self._how = config.distill, config.look
        self.count = len(faces)
        # Look 0 is the crop, look K the K-th blend.
        self.turns = (*[0] * plan.plain, *range(1, plan.mixes + 1))
        self._seed, self._faces, self._folder, self._whiten = config.seed, faces, folder, plan.whiten
        self._looks = [PLAIN, MIRROR, *(f"mix-{k}" for k in range(plan.mixes))]
        # What decides what is written: other lessons need another folder.
        files = [teacher.model_dump(exclude={"licence", "onnx", "weight"}) for teacher in config.teacher]
        self._made_of = hashlib.sha256(json.dumps([faces.fingerprint(), config.seed, files]).encode()).hexdigest()
        self._weights = [teacher.weight for teacher in config.teacher]
        self._threads = config.threads
        self._aim: Aim | None = None
        self._teachers: list[tuple[int, float]] = []
        self._rows: dict[str, FloatArray] = {}

    def prepare(self, teachers: Callable[[], list[Teacher]], say: Callable[[str], None]) -> None:
        """Writes what is missing, for which the teachers are fetched. Raises BadState for a folder of other lessons."""
        note = self._note()
        if any(note["done"].get(look, 0) < self.count for look in self._looks):
            asked = teachers()
            note["numbers"] = [teacher.numbers for teacher in asked]
            self._folder.mkdir(parents=True, exist_ok=True)
            for look in self._looks:
                self._write(asked, look, note, say)
        self._rows.clear()  # opened for writing; from now on they are read
        self._teachers = list(zip(note["numbers"], self._weights, strict=True))
        self._aim = fit_aim(self._plain(np.arange(self.count)), self._whiten)

    def read(self, look: int, rows: IntArray, random: np.random.Generator) -> Lesson:
        """The lesson on these crops, moved by chance."""
        assert self._aim is not None, "prepare comes first"
        said = self._plain(rows) if look == 0 else together([self._read(self._looks[look + 1])[rows]], self._teachers)
        pixels = self._faces.pixels[rows] if look == 0 else self._blend(look - 1, rows)
        border = (pixels.shape[1] - CROP_SIZE) // 2
        # The teachers saw it clear: of a dark, grey, small or noisy face the student shall say the same.
        seen = np.stack([appear(crop, CROP_SIZE, self._how, random, border) for crop in pixels])
        blend = None if look == 0 else self._partners(look - 1, rows)
        return Lesson(normalise(torch.from_numpy(seen)), self._aim(said), blend)

    def sample(self) -> tuple[IntArray, FloatArray]:
        """Unblended targets of SAMPLE crops."""
        assert self._aim is not None, "prepare comes first"
        rows = np.sort(np.random.default_rng(self._seed).permutation(self.count)[:SAMPLE])
        return rows, self._aim(self._plain(rows))

    def _partners(self, number: int, rows: IntArray) -> tuple[IntArray, FloatArray]:
        random = np.random.default_rng([self._seed, number])
        other = random.permutation(self.count)[rows]
        return other, random.uniform(LEAST_BLEND, MOST_BLEND, self.count).astype(np.float32)[rows]

    def _plain(self, rows: IntArray) -> FloatArray:
        return together([self._read(PLAIN)[rows], self._read(MIRROR)[rows]], self._teachers)

    def _blend(self, number: int, rows: IntArray) -> ImageArray:
        """Crops with the other face of blend `number` in them: uint8[N, S, S, 3]."""
        other, share = self._partners(number, rows)
        part, pixels = share[:, None, None, None], self._faces.pixels
        blended: ImageArray = np.rint(pixels[rows] * (1 - part) + pixels[other] * part).astype(np.uint8)
        return blended

    def _read(self, look: str, mode: Literal["r", "r+"] = "r") -> FloatArray:
        if look not in self._rows:
            self._rows[look] = np.load(self._folder / f"rows-{look}.npy", mmap_mode=mode, allow_pickle=False)
        return self._rows[look]

    def _note(self) -> dict[str, Any]:
        """What is written so far: rows of each look, and how many numbers each teacher gives."""
        path = self._folder / NOTE
        if not path.exists():
            return {"made_of": self._made_of, "numbers": [], "done": {}}
        note: dict[str, Any] = json.loads(path.read_bytes())
        if note["made_of"] != self._made_of:
            raise BadState(f"{self._folder} keeps lessons of other crops or teachers. Choose another --out.")
        return note

    def _write(self, teachers: list[Teacher], look: str, note: dict[str, Any], say: Callable[[str], None]) -> None:
        begin = note["done"].get(look, 0)
        if begin == 0:
            shape = (self.count, sum(note["numbers"]))
            np.lib.format.open_memmap(self._folder / f"rows-{look}.npy", mode="w+", dtype=np.float32, shape=shape)
        for number, start in enumerate(range(begin, self.count, BATCH), start=1):
            rows = np.arange(start, min(self.count, start + BATCH))
            self._read(look, "r+")[rows] = ask(teachers, self._shown(look, rows), self._threads)
            note["done"][look] = int(rows[-1]) + 1
            if number % SAID_EVERY == 0 or note["done"][look] == self.count:
                cast("np.memmap[Any, Any]", self._read(look, "r+")).flush()
                write_atomic(self._folder / NOTE, json.dumps(note).encode(), 0o644)
                say(f"teachers, {look}: {note['done'][look]} of {self.count} crops")

    def _shown(self, look: str, rows: IntArray) -> ImageArray:
        """What the teachers see: uint8[N, 112, 112, 3]."""
        if look.startswith("mix"):
            pixels = self._blend(int(look.removeprefix("mix-")), rows)
        else:
            pixels = self._faces.pixels[rows]
        border = (pixels.shape[1] - CROP_SIZE) // 2
        crops = pixels[:, border : border + CROP_SIZE, border : border + CROP_SIZE]
        return np.ascontiguousarray(crops[:, :, ::-1] if look == MIRROR else crops)
