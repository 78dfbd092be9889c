"""Pictures that show nothing, for tests of what only carries them."""

from __future__ import annotations

import numpy as np

from firmware_config.face import ImageArray


def view(number: int) -> ImageArray:
    """A picture that is like no other number's."""
    return np.random.default_rng(number).integers(60, 200, (48, 64, 3), dtype=np.uint8)
