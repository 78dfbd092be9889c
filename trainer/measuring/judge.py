"""A trained network as a judge of pairs: its rows, and the score that it was trained for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray
from trainer.loop.pretrained import CHECKPOINT
from trainer.loop.trained import Trained, load_trained
from trainer.losses import PairLogistic
from trainer.measuring.validation import embed


@dataclass(frozen=True)
class Judge:
    """A trained network with the score that it was trained for: the distance, or the logistic unit's."""

    trained: Trained
    unit: PairLogistic | None
    views: int = 1
    """Looks at each image: itself and copies turned, zoomed and shifted a little, of faces mirrored ones too."""

    @property
    def drawings(self) -> bool:
        """Whether it learned from handwriting."""
        return self.trained.config.data.source in ("mnist", "omniglot")

    def rows(self, images: ImageArray) -> FloatArray:
        """uint8[N, S, S, 1] -> float32[views, N, D]."""
        seen = looks(images, self.views, not self.drawings)
        return np.stack([embed(self.trained.config, self.trained.network, each) for each in seen])

    def unlike(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """float32[views, N, D], float32[views, M, D] -> float32[N, M]: the mean over as many pairs of looks as there
        are looks, those most alike, so that a face that was cut out a little differently is not another one."""
        pairs = np.stack(
            [self._unlike(torch.from_numpy(a)[:, None], torch.from_numpy(b)[None]) for a in first for b in second]
        )
        likest = np.partition(pairs, self.views - 1, axis=0)[: self.views]
        return np.asarray(likest.mean(axis=0), dtype=np.float32)

    def _unlike(self, a: torch.Tensor, b: torch.Tensor) -> FloatArray:
        with torch.inference_mode():
            if self.unit is None:
                return np.asarray(torch.linalg.vector_norm(a - b, dim=-1), dtype=np.float32)
            # -log(1 - probability): ordered as that is, from 0 up, and it does not run into 1.
            return np.asarray(torch.nn.functional.softplus(self.unit(a, b)), dtype=np.float32)


def load_judge(run: Path, views: int = 1) -> Judge:
    """The run's result. Raises BadInput, BadState."""
    if views < 1:
        raise BadInput("--views counts looks at an image: 1 is the image itself.")
    trained = load_trained(run)
    state: dict[str, Any] = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)
    weights = {
        name.removeprefix("pair-logistic."): value
        for name, value in state.get("heads", {}).items()
        if name.startswith("pair-logistic.")
    }
    unit = None
    if weights:
        unit = PairLogistic(weights["unit.weight"].shape[1])
        unit.load_state_dict(weights)
    return Judge(trained, unit, views)


def looks(images: ImageArray, views: int, faces: bool) -> list[ImageArray]:
    """uint8[N, S, S, 1] -> so many of the same shape, the same ones always: the images themselves, of faces their
    mirror images, then copies up to 12 degrees, an eighth of their size and a twentieth of the side off."""
    found = [images]
    random = np.random.default_rng(0)
    middle = np.full(2, (images.shape[1] - 1) / 2.0)
    while len(found) < views:
        source = images
        if faces and (len(found) == 1 or random.random() < 0.5):
            source = np.ascontiguousarray(images[:, :, ::-1])
            if len(found) == 1:
                found.append(source)
                continue
        turn, shear = random.uniform(-0.2, 0.2), random.uniform(-0.08, 0.08)
        hand = np.array([[np.cos(turn), -np.sin(turn) + shear], [np.sin(turn), np.cos(turn)]])
        hand *= random.uniform(0.88, 1.12)
        off = middle - hand @ middle + random.uniform(-0.05, 0.05, 2) * images.shape[1]
        place = np.hstack([hand, off[:, None]])
        moved = [
            cv2.warpAffine(each[..., 0], place, each.shape[:2], borderMode=cv2.BORDER_REPLICATE) for each in source
        ]
        found.append(np.stack(moved)[..., None].astype(np.uint8))
    return found
