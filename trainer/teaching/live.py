"""Lessons given while the student learns: the teachers look at the very crops that it is shown, moved anew each time.

Where there is a GPU, all crops lie in its memory, and are moved, judged and lit there."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
import torch
from torch import Tensor

from firmware_config.face import FloatArray
from trainer.config import Config
from trainer.data import Faces, IntArray
from trainer.encoders import PIXEL_MEAN, PIXEL_SCALE
from trainer.images.batches import Chance, moved, shot
from trainer.teaching.lessons import LEAST_BLEND, MOST_BLEND, Lesson, fit_aim, together
from trainer.teaching.teachers import Teacher

AIM_CROPS: Final = 8192
"""Crops that the aim is fitted on: 64 for each of the 128 numbers."""

BATCH: Final = 256
"""Crops that the teachers are asked about at a time before the student learns."""


class LiveLessons:
    """No two are alike. teachers and crops are on one device."""

    def __init__(self, teachers: list[Teacher], faces: Faces, config: Config, device: torch.device) -> None:
        assert config.distill is not None
        assert config.look is not None
        plan, self._how, self._device = config.distill, config.look, device
        # As many blends among the plain ones as kept lessons have.
        self.turns = (*[0] * plan.plain, *[1] * plan.mixes)
        self.count = len(faces)
        self._teachers = [(teacher.numbers, teacher.file.weight) for teacher in teachers]
        self._ask = teachers
        self._asking = threading.Lock()  # workers take turns: the teachers use all processors
        self._pixels = torch.from_numpy(faces.pixels).permute(0, 3, 1, 2).to(device)
        self._some: IntArray = np.sort(np.random.default_rng(config.seed).permutation(self.count)[:AIM_CROPS])
        parts = np.array_split(self._some, max(1, len(self._some) // BATCH))
        border = (faces.pixels.shape[1] - faces.centre().shape[1]) // 2
        said = np.concatenate([self._say(self._crops(part)[:, :, border:-border, border:-border]) for part in parts])
        self._aim = fit_aim(said, plan.whiten)
        self._some_targets = self._aim(said)

    def read(self, look: int, rows: IntArray, random: np.random.Generator) -> Lesson:
        """The lesson on these crops, moved by chance; with look 1 each has some of its neighbour in it."""
        chance = Chance(int(random.integers(2**62)), self._device)
        images = moved(self._crops(rows), self._how, chance)
        blend = None
        if look:
            share = random.uniform(LEAST_BLEND, MOST_BLEND, len(rows)).astype(np.float32)
            blend = np.roll(rows, 1), share
            part = torch.from_numpy(share).to(self._device)[:, None, None, None]
            images = images * (1.0 - part) + images.roll(1, 0) * part
        with self._asking:
            said = self._say(images)
        seen = (shot(images, self._how, chance) - PIXEL_MEAN) / PIXEL_SCALE
        return Lesson(seen.contiguous(memory_format=torch.channels_last), self._aim(said), blend)

    def sample(self) -> tuple[IntArray, FloatArray]:
        """Those that the aim was fitted on."""
        return self._some, self._some_targets

    def _crops(self, rows: IntArray) -> Tensor:
        return self._pixels[torch.from_numpy(rows).to(self._device)]

    def _say(self, images: Tensor) -> FloatArray:
        """What the teachers say of each image and its mirror image together: uint8 or float32[N, 3, 112, 112]."""
        both = [
            torch.cat([teacher.rows(view) for teacher in self._ask], dim=1).cpu().numpy()
            for view in (images.float(), images.float().flip(3))
        ]
        return together(both, self._teachers)
