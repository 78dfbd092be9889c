"""An occlusion map points at what the encoder looked at."""

from __future__ import annotations

import numpy as np
import pytest

from device.occlusion import occlusion_map
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray


def _upper_left(pictures: ImageArray) -> FloatArray:
    """An encoder that sees nothing but a 28x28 corner's brightness."""
    light = pictures[:, :28, :28].reshape(len(pictures), -1).mean(axis=1) / 255.0
    return np.stack([light, np.sqrt(1.0 - light**2)], axis=1).astype(np.float32)


def test_only_the_place_that_the_encoder_sees_is_marked() -> None:
    looked_at = np.full((112, 112, 3), 40, dtype=np.uint8)
    looked_at[:28, :28] = 250
    change = occlusion_map(_upper_left, looked_at, looked_at.copy())
    assert change.shape == (112, 112)
    assert float(change[:16, :16].min()) > 0.0  # hiding it moves the two apart: it spoke for one person
    assert np.all(change[48:, 48:] == 0.0)


def test_what_keeps_two_apart_is_negative() -> None:
    looked_at = np.full((112, 112, 3), 40, dtype=np.uint8)
    other = looked_at.copy()
    looked_at[:28, :28] = 250
    change = occlusion_map(_upper_left, looked_at, other)
    assert float(change[:16, :16].max()) < 0.0


def test_two_sizes_are_refused() -> None:
    with pytest.raises(BadInput, match="one size"):
        occlusion_map(_upper_left, np.zeros((112, 112, 3), np.uint8), np.zeros((100, 112, 3), np.uint8))
