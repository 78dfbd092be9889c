"""Views of a whole batch for lessons: moved alike for teacher and student, lit for the student alone. See looks.py
for what a door's camera does to the images of a stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from firmware_config.face import CROP_SIZE
from trainer.encoders import PIXEL_MEAN, PIXEL_SCALE

NOISES: Final = 16
"""Fields of noise that a batch shares."""


@dataclass(frozen=True)
class Augmentation:
    """How much. Shares are of the images, 0 to 1; the defaults suit a door."""

    turn_degrees: float = 8.0
    zoom: float = 0.07
    shift_pixels: float = 3.5
    """Of the 112: about what YuNet's landmarks are off by on a small face."""
    brightness: float = 0.3
    contrast: float = 0.3
    grey_share: float = 0.3
    """Cameras turn grey under infrared light; AT&T's are grey."""
    small_share: float = 0.2
    """Seen from afar: shrunk to a half or a quarter and enlarged again."""
    noise: float = 0.02
    """Standard deviation at most, in units of the network's input."""


def normalise(crops: Tensor) -> Tensor:
    """uint8[N, H, W, 3] -> float32[N, 3, H, W], about -1 to 1. The export graph does the same inside."""
    return crops.permute(0, 3, 1, 2).float().sub_(PIXEL_MEAN).div_(PIXEL_SCALE)


def pixels_of(images: Tensor) -> Tensor:
    """The way back: float32[N, 3, H, W], about -1 to 1 -> uint8[N, H, W, 3]."""
    return (images * PIXEL_SCALE + PIXEL_MEAN).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def move(crops: Tensor, pixels: int, how: Augmentation, random: torch.Generator, mirror: bool | None = None) -> Tensor:
    """Turns, zooms, shifts: uint8[N, 128, 128, 3] -> float32[N, 3, pixels, pixels], about -1 to 1.

    mirror: all or none; None mirrors every second one by chance.
    """
    count, side = crops.shape[0], crops.shape[1]
    angle = _uniform(count, -how.turn_degrees, how.turn_degrees, random) * (torch.pi / 180.0)
    # The grid runs -1 to 1 over the 128 pixels; the door's crop is the middle 112 of them.
    zoom = _uniform(count, 1.0 - how.zoom, 1.0 + how.zoom, random) * (CROP_SIZE / side)
    chance = _uniform(count, 0.0, 1.0, random) < 0.5 if mirror is None else torch.full((count,), mirror)
    sign = torch.where(chance, -1.0, 1.0)
    shift = 2.0 * how.shift_pixels / side
    rows_x = [zoom * angle.cos() * sign, -zoom * angle.sin(), _uniform(count, -shift, shift, random)]
    rows_y = [zoom * angle.sin() * sign, zoom * angle.cos(), _uniform(count, -shift, shift, random)]
    moves = torch.stack([torch.stack(rows_x, dim=1), torch.stack(rows_y, dim=1)], dim=1)
    grid = functional.affine_grid(moves, [count, 3, pixels, pixels], align_corners=False)
    return functional.grid_sample(normalise(crops), grid, padding_mode="border", align_corners=False)


def relight(images: Tensor, how: Augmentation, random: torch.Generator) -> Tensor:
    """Light, colour, blur, noise: float32[N, 3, S, S], about -1 to 1 -> the same, changed in place."""
    count, _, pixels, _ = images.shape
    gain = _uniform(count, 1.0 - how.contrast, 1.0 + how.contrast, random)[:, None, None, None]
    offset = _uniform(count, -how.brightness, how.brightness, random)[:, None, None, None]
    images = images * gain + offset
    grey = _uniform(count, 0.0, 1.0, random) < how.grey_share
    # Rec. 601 luma, as cv2's and Pillow's grey.
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    images[grey] = (images[grey] * weights).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    draw = _uniform(count, 0.0, 1.0, random)
    for small, chosen in (
        (pixels // 2, draw < how.small_share / 2),
        (pixels // 4, draw > 1 - how.small_share / 2),
    ):
        if bool(chosen.any()):
            shrunk = functional.interpolate(images[chosen], size=(small, small), mode="area")
            images[chosen] = functional.interpolate(shrunk, size=(pixels, pixels), mode="bilinear", align_corners=False)
    strength = _uniform(count, 0.0, how.noise, random)[:, None, None, None]
    # Drawing noise for every image would take a tenth of a training step; no image meets the same one twice soon.
    noise = torch.randn((min(count, NOISES), *images.shape[1:]), generator=random)
    images = images + strength * noise[torch.randint(len(noise), (count,), generator=random)]
    return images.clamp(-1.0, 1.0)


def _uniform(count: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return torch.rand(count, generator=random) * (high - low) + low
