"""What the encoder looked at: hide a part of one face, and see how far the two move apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray

PATCH_SHARE: Final = 7
"""The patch is a seventh of the picture's side: 16 of 112 pixels, about an eye."""

STEPS_EACH_PATCH: Final = 2

Embed = Callable[[ImageArray], FloatArray]


def occlusion_map(embed: Embed, looked_at: ImageArray, other: ImageArray) -> FloatArray:
    """How much each place of `looked_at` speaks for the two being one person.

    embed: uint8[N, H, W, C] -> float32[N, D]. looked_at, other: uint8[H, W, C] -> float32[H, W], change of the
    distance when a patch there is painted in the picture's mean colour, averaged over the patches that cover the
    place. Above 0: seen, it brings the two together; below 0: it keeps them apart. Raises BadInput for pictures of
    two shapes. Zeiler and Fergus 2014, with a distance in place of a class.
    """
    if looked_at.shape != other.shape or looked_at.ndim != 3 or min(looked_at.shape[:2]) < PATCH_SHARE:
        raise BadInput(f"An occlusion map needs two pictures of one size, not {looked_at.shape} and {other.shape}.")
    height, width = looked_at.shape[:2]
    patch = max(2, min(height, width) // PATCH_SHARE)
    stride = max(1, patch // STEPS_EACH_PATCH)
    corners = [(y, x) for y in range(0, height - patch + 1, stride) for x in range(0, width - patch + 1, stride)]
    hidden = np.repeat(looked_at[np.newaxis], len(corners), axis=0)
    mean = looked_at.reshape(-1, looked_at.shape[2]).mean(axis=0).round().astype(np.uint8)
    for picture, (y, x) in zip(hidden, corners, strict=True):
        picture[y : y + patch, x : x + patch] = mean
    pair = embed(np.stack([looked_at, other]))
    moved = np.linalg.norm(embed(hidden) - pair[1], axis=1) - np.linalg.norm(pair[0] - pair[1])
    total, times = np.zeros((height, width)), np.zeros((height, width))
    for change, (y, x) in zip(moved, corners, strict=True):
        total[y : y + patch, x : x + patch] += change
        times[y : y + patch, x : x + patch] += 1
    return (total / np.maximum(times, 1)).astype(np.float32)
