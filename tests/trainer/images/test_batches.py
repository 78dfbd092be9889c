"""Batches are changed as looks.py changes single images: the same places, the same range, repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from trainer.images import looks
from trainer.images.batches import Chance, moved, shot
from trainer.parts import Look

CPU = torch.device("cpu")
NOTHING = {name: 0 for name, field in Look.model_fields.items() if field.annotation is not bool}
STILL = Look(mirror=False, **NOTHING)


def pictures(count: int, side: int = 128) -> Tensor:
    """Smooth pictures: a place that is a fraction of a pixel off changes little."""
    coarse = torch.rand(count, 3, 9, 9, generator=torch.Generator().manual_seed(5)) * 255
    large = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic", align_corners=False)
    return large.clamp(0, 255).round().to(torch.uint8)


def test_what_nothing_moves_is_the_crop_that_a_door_would_make() -> None:
    crops = pictures(4)
    assert torch.allclose(moved(crops, STILL, Chance(1, CPU)), crops[:, :, 8:120, 8:120].float(), atol=0.02)


def test_a_mirror_image_is_half_of_them() -> None:
    crops = pictures(64)
    plain = crops[:, :, 8:120, 8:120].float()
    found = moved(crops, STILL.model_copy(update={"mirror": True}), Chance(1, CPU))
    turned = (found - plain).abs().amax((1, 2, 3)) > 1.0
    assert 16 < int(turned.sum()) < 48
    assert torch.allclose(found[turned], plain[turned].flip(3), atol=0.02)


@pytest.mark.parametrize(
    "how",
    [{"turn_degrees": 20.0}, {"zoom": 0.2}, {"shift": 0.06}, {"landmarks": 0.02}],
    ids=lambda how: next(iter(how)),
)
def test_crops_are_moved_as_far_as_single_ones(how: dict[str, float]) -> None:
    """Where three places of the crop go: a batch's and single images' spread alike."""
    dots = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    for channel, (y, x) in enumerate(((40, 45), (40, 83), (88, 64))):
        dots[0, channel, y - 3 : y + 4, x - 3 : x + 4] = 255
    setting = STILL.model_copy(update=how)
    many = moved(dots.expand(400, -1, -1, -1), setting, Chance(3, CPU))
    random = np.random.default_rng(3)
    crop = dots[0].permute(1, 2, 0).numpy()
    single = np.stack([looks.move(crop, 112, setting, random, 8) for _ in range(400)])
    both = [centres(many), centres(torch.from_numpy(single).permute(0, 3, 1, 2).float())]
    assert both[0].mean(0) == pytest.approx(both[1].mean(0), abs=0.4)
    assert both[0].std(0) == pytest.approx(both[1].std(0), rel=0.2, abs=0.12)


def centres(images: Tensor) -> np.ndarray:
    """Where each channel's dot is: float[N, 3 * 2] pixels."""
    weight = images / images.sum((2, 3), keepdim=True)
    place = torch.arange(images.shape[-1]).float()
    return torch.stack([weight.sum(3) @ place, weight.sum(2) @ place], dim=2).flatten(1).numpy()


def test_every_look_keeps_the_range_and_repeats_with_its_seed() -> None:
    all_of_it = Look(grey_share=1.0, cover_share=1.0, small_share=1.0, blur_share=1.0, shade_share=1.0)
    images = pictures(6, 112).float()
    first, again, other = (shot(images, all_of_it, Chance(seed, CPU)) for seed in (4, 4, 5))
    assert first.shape == images.shape
    assert float(first.min()) >= 0.0
    assert float(first.max()) <= 255.0
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nothing_changes_what_nothing_happens_to() -> None:
    images = pictures(5, 112).float()
    assert torch.allclose(shot(images, STILL, Chance(2, CPU)), images, atol=1e-3)


@pytest.mark.parametrize("share", ["grey_share", "cover_share", "small_share", "blur_share", "shade_share"])
def test_a_share_is_a_share(share: str) -> None:
    images = pictures(40, 112).float()
    found = shot(images, STILL.model_copy(update={share: 0.25}), Chance(2, CPU))
    changed = (found - images).abs().amax((1, 2, 3)) > 0.5
    assert int(changed.sum()) == 10


def test_grey_has_one_colour_and_a_cover_four_corners() -> None:
    images = pictures(8, 112).float()
    grey = shot(images, STILL.model_copy(update={"grey_share": 1.0}), Chance(2, CPU))
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-3)
    covered = shot(images, STILL.model_copy(update={"cover_share": 1.0}), Chance(2, CPU))
    hidden = (covered - images).abs().amax(1) > 0
    share = hidden.float().mean((1, 2))
    assert float(share.min()) > 0.01
    assert float(share.max()) <= 0.17
