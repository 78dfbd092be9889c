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
from trainer.bundling import Trained, load_trained
from trainer.checkpoint import CHECKPOINT
from trainer.losses import PairLogistic
from trainer.validation import embed


@dataclass(frozen=True)
class Judge:
    """A trained network with the score that it was trained for: the distance, or the logistic unit's."""

    trained: Trained
    unit: PairLogistic | None
    views: int = 1
    """Looks at each image: itself, then its mirror image (faces) or copies some degrees and pixels off (drawings).
    Above 1, rows are the mean of the looks, so unit rows are wanted."""

    @property
    def drawings(self) -> bool:
        """Whether it learned from handwriting."""
        return self.trained.config.data.source in ("mnist", "omniglot")

    def rows(self, images: ImageArray) -> FloatArray:
        """uint8[N, S, S, 1] -> float32[N, D]."""
        config, network = self.trained.config, self.trained.network
        seen = looks(images, self.views, not self.drawings)
        summed = np.asarray(np.sum([embed(config, network, look) for look in seen], axis=0), dtype=np.float32)
        if not config.network.unit_rows:
            return summed
        return np.asarray(summed / np.linalg.norm(summed, axis=1, keepdims=True), dtype=np.float32)

    def unlike(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """float32[N, D], float32[M, D] -> float32[N, M]."""
        a, b = torch.from_numpy(first)[:, None], torch.from_numpy(second)[None]
        with torch.inference_mode():
            if self.unit is None:
                return np.asarray(torch.linalg.vector_norm(a - b, dim=-1), dtype=np.float32)
            # -log(1 - probability): ordered as that is, from 0 up, and it does not run into 1.
            return np.asarray(torch.nn.functional.softplus(self.unit(a, b)), dtype=np.float32)


def load_judge(run: Path, views: int = 1) -> Judge:
    """The run's result. Raises BadInput, BadState; BadInput too for more than one view of rows of any length."""
    trained = load_trained(run)
    if views < 1 or (views > 1 and not trained.config.network.unit_rows):
        raise BadInput("Several views are averaged, which wants a network with unit rows; this run's has none.")
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
    """uint8[N, S, S, 1] -> so many of the same shape; the first are the images themselves."""
    found = [images]
    random = np.random.default_rng(0)
    middle = (images.shape[1] - 1) / 2.0
    while len(found) < views:
        if faces and len(found) == 1:
            found.append(np.ascontiguousarray(images[:, :, ::-1]))
            continue
        turn, shear, scale = random.uniform(-0.17, 0.17), random.uniform(-0.1, 0.1), random.uniform(0.92, 1.08, 2)
        hand = np.array([[np.cos(turn), -np.sin(turn) + shear], [np.sin(turn), np.cos(turn)]]) * scale
        off = np.full(2, middle) - hand @ np.full(2, middle) + random.uniform(-0.03, 0.03, 2) * images.shape[1]
        place = np.hstack([hand, off[:, None]])
        moved = [
            cv2.warpAffine(each[..., 0], place, each.shape[:2], borderMode=cv2.BORDER_REPLICATE) for each in images
        ]
        found.append(np.stack(moved)[..., None].astype(np.uint8))
    return found
