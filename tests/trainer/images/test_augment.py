"""Views for lessons: a batch at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.images.augment import Augmentation, move, normalise, relight


def views(crops: Tensor, pixels: int, how: Augmentation, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return relight(move(crops, pixels, how, random), how, random)


def test_augmentation_keeps_shape_and_range_and_repeats_with_its_seed() -> None:
    crops = torch.randint(0, 256, (6, 128, 128, 3), dtype=torch.uint8)
    first, second = (views(crops, 80, Augmentation(), 4) for _ in range(2))
    assert first.shape == (6, 3, 80, 80)
    assert float(first.min()) >= -1.0
    assert float(first.max()) <= 1.0
    assert torch.equal(first, second)


def test_no_augmentation_is_the_crop_a_door_would_make_or_its_mirror() -> None:
    crops = torch.randint(0, 256, (8, 128, 128, 3), dtype=torch.uint8)
    still = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    images = views(crops, 112, still, 1)
    plain = normalise(crops[:, 8:120, 8:120])
    for image, expected in zip(images, plain, strict=True):
        nearest = min(float((image - e).abs().max()) for e in (expected, expected.flip(-1)))
        assert nearest < 2e-3
