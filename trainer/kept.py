"""Lessons written down once: fixed views of every crop and what the teachers say of them, for training on CPUs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch

from firmware_config.errors import BadState
from firmware_config.face import CROP_SIZE
from firmware_config.files import write_atomic
from trainer.augment import Augmentation, move, pixels_of
from trainer.config import Config
from trainer.data import Faces, IntArray
from trainer.lessons import Aim, Channels, Lesson, ask, fit_aim, fit_channels
from trainer.teachers import Said, Teacher

BATCH: Final = 32
"""Crops that the teachers see at a time: larger ones are no faster on a CPU."""
SAID_EVERY: Final = 50
"""Batches between two lines of progress and two notes of how far it is."""
MAP_STEPS: Final = 32.0
"""Maps are kept as int8, this many steps a standard deviation of their channel: four deviations fit."""
STATISTICS_CROPS: Final = 512
"""Crops that set mean and deviation of a map's channels."""
VIEW: Final = Augmentation(turn_degrees=6.0, zoom=0.06, shift_pixels=3.0)
"""How a view is moved, at most: two thirds and more of what a live one is, since there are few of them."""
PLAIN: Final = "plain"
NOTE: Final = "note.json"


class KeptLessons:
    """A folder of lessons; a stopped writing goes on. About 72 kB a crop and view with facesdk's maps.

    Files, M crops: crops-V.npy uint8[M, 112, 112, 3], rows-V.npy and rows-plain.npy float32[M, D], mapN-V.npy
    int8[M, C, S, S], channels-N.npy float32[2, C].
    """

    def __init__(self, config: Config, faces: Faces, folder: Path) -> None:
        assert config.distill is not None
        self.views, self.count = config.distill.views, len(faces)
        self._seed, self._faces, self._folder = config.seed, faces, folder
        # What decides what is written: other lessons need another folder.
        files = [teacher.model_dump(exclude={"licence", "onnx"}) for teacher in config.teacher]
        made_of = json.dumps([faces.fingerprint(), config.seed, self.views, files])
        self._made_of = hashlib.sha256(made_of.encode()).hexdigest()
        self._aim: Aim | None = None
        self._maps = sum(len(teacher.maps) for teacher in config.teacher)
        self._arrays: dict[str, npt.NDArray[Any]] = {}

    def prepare(self, teachers: Callable[[], list[Teacher]], say: Callable[[str], None]) -> None:
        """Writes what is missing, for which the teachers are fetched. Raises BadState for a folder of other lessons."""
        total = (self.views + 1) * len(self._faces)
        done = self._done()
        if done < total:
            asked = teachers()
            if done < 0:
                self._begin(asked)
                done = 0
            for part in range(done // len(self._faces), self.views + 1):
                self._write(asked, part, max(0, done - part * len(self._faces)), say)
        self._arrays.clear()  # opened for writing; from now on they are read
        self._aim = fit_aim(self._array(f"rows-{PLAIN}"))

    def read(self, view: int, rows: IntArray, random: torch.Generator | None = None) -> Lesson:
        """The lesson on these crops. Nothing is left to chance here but what the student does with the pixels."""
        del random
        assert self._aim is not None, "prepare comes first"
        # The view and the plain crop together: what the two have in common is who it is.
        said = self._array(f"rows-{view}")[rows] + self._array(f"rows-{PLAIN}")[rows]
        kept = [self._array(f"map{number}-{view}")[rows] for number in range(self._maps)]
        return Lesson(
            torch.from_numpy(self._array(f"crops-{view}")[rows]),
            torch.from_numpy(self._aim(said)),
            [torch.from_numpy(values).float() / MAP_STEPS for values in kept],
        )

    def map_channels(self) -> list[int]:
        """Channels of each of the teacher's maps."""
        return [int(self._array(f"map{number}-0").shape[1]) for number in range(self._maps)]

    def _array(self, name: str, mode: Literal["r", "r+"] = "r") -> npt.NDArray[Any]:
        if name not in self._arrays:
            self._arrays[name] = np.load(self._folder / f"{name}.npy", mmap_mode=mode, allow_pickle=False)
        return self._arrays[name]

    def _done(self) -> int:
        """Looks that are written, -1 when nothing is."""
        path = self._folder / NOTE
        if not path.exists():
            return -1
        note = json.loads(path.read_bytes())
        if note["made_of"] != self._made_of:
            raise BadState(f"{self._folder} keeps lessons of other crops, views or teachers. Choose another --out.")
        return int(note["done"])

    def _keep_done(self, looks: int) -> None:
        note = json.dumps({"made_of": self._made_of, "done": looks})
        write_atomic(self._folder / NOTE, note.encode(), 0o644)

    def _begin(self, teachers: list[Teacher]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        first = ask(teachers, np.ascontiguousarray(self._faces.centre()[:STATISTICS_CROPS]))
        names = [PLAIN, *(str(view) for view in range(self.views))]
        files: list[tuple[str, type, tuple[int, ...]]] = [
            (f"rows-{name}", np.float32, first.embeddings.shape[1:]) for name in names
        ]
        for view in names[1:]:
            files.append((f"crops-{view}", np.uint8, (CROP_SIZE, CROP_SIZE, 3)))
            files += [(f"map{number}-{view}", np.int8, values.shape[1:]) for number, values in enumerate(first.maps)]
        for name, kind, shape in files:
            path, full = self._folder / f"{name}.npy", (len(self._faces), *shape)
            np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=full)
        for number, values in enumerate(first.maps):
            channels = fit_channels(values)
            both = np.stack([channels.mean, channels.deviation])
            np.save(self._folder / f"channels-{number}.npy", both)
        self._keep_done(0)

    def _write(self, teachers: list[Teacher], part: int, begin: int, say: Callable[[str], None]) -> None:
        """part: 0 for the plain crops, from 1 on the views."""
        count = len(self._faces)
        for number, start in enumerate(range(begin, count, BATCH)):
            at = slice(start, min(count, start + BATCH))
            if part == 0:
                said = ask(teachers, np.ascontiguousarray(self._faces.centre()[at]))
                self._array(f"rows-{PLAIN}", "r+")[at] = said.embeddings
            else:
                self._write_view(part - 1, at, teachers)
            if number % SAID_EVERY == 0:
                self._keep_done(part * count + start)
                say(f"teachers: {part * count + start} of {(self.views + 1) * count} looks")
        self._keep_done((part + 1) * count)

    def _write_view(self, view: int, at: slice, teachers: list[Teacher]) -> None:
        random = torch.Generator().manual_seed((self._seed * 31 + view) * 1_000_003 + at.start)
        moved = move(torch.from_numpy(self._faces.pixels[at]), CROP_SIZE, VIEW, random, mirror=view % 2 == 1)
        crops = pixels_of(moved).numpy()
        said: Said = ask(teachers, crops)
        self._array(f"crops-{view}", "r+")[at] = crops
        self._array(f"rows-{view}", "r+")[at] = said.embeddings
        for number, values in enumerate(said.maps):
            even = Channels(*self._array(f"channels-{number}"))(values)
            self._array(f"map{number}-{view}", "r+")[at] = np.clip(np.rint(even * MAP_STEPS), -127, 127)
