"""A training in miniature, for those who train in tests."""

from __future__ import annotations

import numpy as np

from trainer.config import Config
from trainer.data import Faces, Split


def quiet(_line: str) -> None:
    return


def small_config(**more: object) -> Config:
    """The smallest MobileFaceNet on pairs of people, a handful of steps of 32 pixels."""
    stage = {
        "epochs": 3,
        "pixels": 32,
        "learning_rate": [1e-3, 1e-3],
        "sampler": "pairs",
        "batch": 4,
        "batches": 2,
        "loss": [{"name": "contrastive", "margin": 1.0}],
    }
    return Config.model_validate(
        {
            "name": "small",
            "threads": 1,
            "optimiser": "adam",
            "network": {"kind": "mobilefacenet", "width": 0.125, "stem": 4},
            "data": {"source": "shards"},
            "stage": [stage],
            **more,
        }
    )


def six_people() -> Faces:
    """Six people with five crops each."""
    random = np.random.default_rng(3)
    base = random.integers(30, 226, (6, 1, 16, 16, 3))
    crops = np.clip(base + random.integers(-20, 21, (6, 5, 16, 16, 3)), 0, 255).astype(np.uint8).reshape(30, 16, 16, 3)
    pixels = crops.repeat(8, axis=1).repeat(8, axis=2)
    return Faces(pixels, np.repeat(np.arange(6), 5), tuple(f"six-{i:02d}" for i in range(30)))


SPLIT = Split(np.arange(20), np.arange(0), np.arange(20, 30))
