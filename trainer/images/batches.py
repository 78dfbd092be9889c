"""What looks.py does to one image on bytes, for a whole batch in torch: on a GPU, where crops by the thousand wait.

A share of the images is a run of that many neighbours, beginning anywhere: a batch is in no order, and choosing each
by its own chance would make the GPU wait for the answer. Masks, smears and compression are left to looks.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from firmware_config.face import CROP_SIZE, TEMPLATE
from trainer.images.looks import INFRARED, LARGEST_BLUR, LUMA
from trainer.parts import Look


class Chance:
    """Draws on the device, and a few numbers beside it that shapes depend on. The same seed gives the same."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self._there = torch.Generator(device).manual_seed(seed)
        self._here = torch.Generator().manual_seed(seed)

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        """float32[shape], evenly spread."""
        return torch.rand(shape, generator=self._there, device=self.device) * (high - low) + low

    def normal(self, *shape: int) -> Tensor:
        """float32[shape], mean 0, deviation 1."""
        return torch.randn(shape, generator=self._there, device=self.device)

    def some(self, count: int, share: float) -> Tensor:
        """int64[about share * count] rows of a batch, neighbours."""
        begin = int(torch.randint(count, (1,), generator=self._here))
        return (torch.arange(round(share * count), device=self.device) + begin) % count

    def one(self, low: float, high: float) -> float:
        """A single number for the whole batch."""
        return float(torch.rand(1, generator=self._here)) * (high - low) + low


def moved(crops: Tensor, how: Look, chance: Chance) -> Tensor:
    """Turned, zoomed, shifted, mirrored: uint8[N, 3, S, S] -> float32[N, 3, 112, 112], 0 to 255.

    As looks.move, without shear and warp. A crop's places as complex numbers: turning and zooming are one factor.
    """
    count, side = crops.shape[0], crops.shape[-1]
    turn = chance.between(-how.turn_degrees, how.turn_degrees, count) * (math.pi / 180.0)
    factor = torch.polar(1.0 + chance.between(-how.zoom, how.zoom, count), turn)
    shift = torch.complex(*(chance.between(-how.shift, how.shift, count) * CROP_SIZE for _ in range(2)))
    if how.landmarks:
        # Five points found a little off, and the crop cut by them: the similarity that fits best.
        corners = torch.view_as_complex(torch.from_numpy(TEMPLATE.copy())).to(crops.device) - complex(
            (CROP_SIZE - 1) / 2, (CROP_SIZE - 1) / 2
        )
        around = corners - corners.mean()
        off = torch.view_as_complex(chance.normal(count, len(corners), 2)) * (how.landmarks * CROP_SIZE)
        fit = (off * around.conj()).sum(1) / around.abs().square().sum()
        shift = shift * (1.0 + fit) + off.mean(1) - fit * corners.mean()
        factor = factor * (1.0 + fit)
    factor = factor * (CROP_SIZE / side)
    shift = shift * (2.0 / side)
    sign = 1.0 - 2.0 * (chance.between(0.0, 1.0, count) < 0.5).float() if how.mirror else torch.ones_like(turn)
    rows = [
        torch.stack([factor.real * sign, -factor.imag, shift.real], dim=1),
        torch.stack([factor.imag * sign, factor.real, shift.imag], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), [count, 3, CROP_SIZE, CROP_SIZE], align_corners=False)
    return functional.grid_sample(crops.float(), grid, padding_mode="border", align_corners=False)


def shot(images: Tensor, how: Look, chance: Chance) -> Tensor:
    """Covered, lit and taken by a camera: float32[N, 3, S, S], 0 to 255 -> the same."""
    count, _, side, _ = images.shape
    images = _covered(images.clone(), how, chance)
    grey = chance.some(count, how.grey_share)
    luma, infrared = (torch.from_numpy(weights).to(images.device) for weights in (LUMA, INFRARED))
    mixed = luma + (infrared - luma) * chance.between(0.0, 1.0, len(grey), 1)
    images[grey] = (images[grey] * mixed[:, :, None, None]).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    images = _lit(images, how, chance)
    for small in (2, 4):
        far = chance.some(count, how.small_share / 2)
        if len(far):
            shrunk = functional.interpolate(images[far], size=(side // small, side // small), mode="area")
            images[far] = functional.interpolate(shrunk, size=(side, side), mode="bilinear", align_corners=False)
    soft = chance.some(count, how.blur_share)
    if len(soft):
        images[soft] = _blurred(images[soft], chance.one(0.2, 1.0) * LARGEST_BLUR * side)
    images = images + chance.between(0.0, how.noise, count, 1, 1, 1) * chance.normal(*images.shape)
    return images.clamp(0.0, 255.0)


def _covered(images: Tensor, how: Look, chance: Chance) -> Tensor:
    hidden = chance.some(images.shape[0], how.cover_share)
    side = images.shape[-1]
    tall, wide = (chance.between(0.15, 0.4, len(hidden), 1) * side for _ in range(2))
    top, left = (chance.between(0.0, 1.0, len(hidden), 1) * (side - length) for length in (tall, wide))
    place = torch.arange(side, device=images.device)
    down, across = ((place >= begin) & (place < begin + length) for begin, length in ((top, tall), (left, wide)))
    patch = (down[:, :, None] & across[:, None, :])[:, None]
    images[hidden] = torch.where(patch, chance.between(0.0, 255.0, len(hidden), 3, 1, 1), images[hidden])
    return images


def _lit(images: Tensor, how: Look, chance: Chance) -> Tensor:
    count, _, side, _ = images.shape
    y, x = torch.meshgrid(*[torch.linspace(-1.0, 1.0, side, device=images.device)] * 2, indexing="ij")
    shaded = chance.some(count, how.shade_share)
    angle = chance.between(0.0, 2.0 * math.pi, len(shaded), 1, 1, 1)
    strength = chance.between(0.2, 0.7, len(shaded), 1, 1, 1)
    images[shaded] = images[shaded] * (1.0 + strength * (angle.cos() * x + angle.sin() * y))
    behind = chance.some(count, how.backlight_share)
    face, ground = (chance.between(low, high, len(behind), 1, 1, 1) for low, high in ((0.3, 0.7), (1.3, 2.0)))
    images[behind] = images[behind] * (face + (ground - face) * (torch.hypot(x, y) - 0.4).clamp(0.0, 1.0))
    gain = 1.0 + chance.between(-how.contrast, how.contrast, count, 1, 1, 1)
    colours = 1.0 + chance.between(-how.colour, how.colour, count, 3, 1, 1)
    offset = 127.5 * (1.0 - gain + chance.between(-how.brightness, how.brightness, count, 1, 1, 1))
    return (images.clamp(0.0, 255.0) * gain * colours + offset).clamp(0.0, 255.0)


def _blurred(images: Tensor, sigma: float) -> Tensor:
    half = max(1, math.ceil(3.0 * sigma))
    places = torch.arange(-half, half + 1, device=images.device)
    kernel = torch.exp(-0.5 * (places / sigma).square())
    kernel = (kernel / kernel.sum()).repeat(3, 1)
    for shape, pad in (((3, 1, -1, 1), (0, 0, half, half)), ((3, 1, 1, -1), (half, half, 0, 0))):
        images = functional.conv2d(functional.pad(images, pad, mode="replicate"), kernel.reshape(shape), groups=3)
    return images
