"""People whose embeddings are made up: as far apart, and as spread, as a test wants them."""

from __future__ import annotations

import numpy as np

from trainer.measuring.trial import Trial


def known_people(people: int, photos: int, spread: float, side: int = 16, seed: int = 0) -> Trial:
    """spread: of one person's embeddings, as a share of the distance between people. Pictures are noise, and may be
    shown."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(people, 1, 32)) + random.normal(scale=spread, size=(people, photos, 32))
    rows = rows.reshape(-1, 32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pictures = random.integers(0, 256, (len(rows), side, side, 3), dtype=np.uint8)
    identities = np.repeat(np.arange(people), photos).astype(np.int64)
    return Trial("made-up", "nobody", rows.astype(np.float32), identities, pictures, may_show=True)
