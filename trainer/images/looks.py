"""What a door's camera makes of a face, one image at a time and on bytes: that is what makes it quick.

Chance comes from the generator alone, so the same one gives the same image whoever asks, in whatever process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from device.align import similarity
from firmware_config.face import CROP_SIZE, TEMPLATE, FloatArray, ImageArray
from trainer.parts import Look

INFRARED: Final = np.array([0.75, 0.2, 0.05], dtype=np.float32)
"""Of red, green and blue: the nearest that a colour picture has to what an infra-red light shows."""
LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Rec. 601, as cv2's grey."""
SMALLEST_SIDE_PX: Final = 24
"""Of a face seen from afar. The door's own limit refuses smaller ones."""
LOWEST_JPEG_QUALITY: Final = 30
LARGEST_BLUR: Final = 0.02
"""Deviation of the Gaussian, of the side: about two pixels of the 112, where the door's limit of sharpness begins."""
LONGEST_MOTION: Final = 0.08
"""Of the side: a face that walks past at a metre and a half a second, exposed for a sixtieth."""
NOISE: Final = np.random.default_rng(0).standard_normal(1 << 19).astype(np.float32)
"""Drawn once and cut anywhere: a new draw for every pixel would take longer than all else."""
MASK: Final = ((0.2, 0.55), (0.5, 0.48), (0.8, 0.55), (0.78, 0.85), (0.5, 0.99), (0.22, 0.85))
"""Corners of a mask on the aligned crop, of the side: over the nose, under the eyes, to the chin."""


def look(crop: ImageArray, pixels: int, how: Look, random: np.random.Generator, border: int = 0) -> ImageArray:
    """crop: uint8[S, S, C], C 1 or 3 (RGB) -> uint8[pixels, pixels, C].

    border: pixels on every side that are there to be moved into the picture and else left out. In the order of the
    world: where the face is, what covers it, the light, the camera.
    """
    image = move(crop, pixels, how, random, border)
    image = cover(image, how, random)
    image = light(image, how, random)
    return camera(image, how, random)


def plain(crop: ImageArray, pixels: int, border: int = 0) -> ImageArray:
    """The same without chance: what a door would have cut out, at this size."""
    side = crop.shape[0] - 2 * border
    middle = crop[border : border + side, border : border + side]
    if side == pixels:
        return middle
    how = cv2.INTER_AREA if pixels < side else cv2.INTER_LINEAR
    return _with_channels(cv2.resize(middle, (pixels, pixels), interpolation=how))


def move(crop: ImageArray, pixels: int, how: Look, random: np.random.Generator, border: int = 0) -> ImageArray:
    """Turns, zooms, shifts, shears, mirrors and warps, in one resampling."""
    side = crop.shape[0]
    seen = side - 2 * border
    turn, shear = (np.deg2rad(_between(random, d)) for d in (how.turn_degrees, how.shear_degrees))
    scale = seen / pixels * (1.0 + _between(random, how.zoom))
    rotated = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    rotated = rotated @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]])
    if how.mirror and random.random() < 0.5:
        rotated[:, 0] *= -1.0
    shift = np.array([_between(random, how.shift), _between(random, how.shift)]) * seen
    # Pixel of the result -> place in the crop: the middle stays the middle.
    middle = rotated @ np.full(2, (pixels - 1) / 2)
    place = np.hstack([rotated, ((side - 1) / 2 + shift - middle)[:, None]])
    if how.landmarks:
        found = TEMPLATE * (seen / CROP_SIZE) + border
        off = (found + random.normal(0.0, how.landmarks * seen, found.shape)).astype(np.float32)
        cut = similarity(found.astype(np.float32), off)  # by what was found, not by where it is
        place = np.hstack([cut[:, :2] @ place[:, :2], cut[:, :2] @ place[:, 2:] + cut[:, 2:]])
    if how.elastic:
        return _warp(crop, pixels, place, how.elastic * seen, random)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return _with_channels(cv2.warpAffine(crop, place, (pixels, pixels), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def cover(image: ImageArray, how: Look, random: np.random.Generator) -> ImageArray:
    """A patch somewhere, or a mask, of one colour."""
    side = image.shape[0]
    if random.random() < how.mask_share:
        corners = np.array(MASK) + random.normal(0.0, 0.02, (len(MASK), 2))
        image = image.copy()
        cv2.fillConvexPoly(image, (corners * side).astype(np.int32), _colour(image, random))
    if random.random() < how.cover_share:
        image = image.copy()
        height, width = (random.uniform(0.15, 0.4, 2) * side).astype(int)
        top, left = random.integers(0, side - height), random.integers(0, side - width)
        image[top : top + height, left : left + width] = _colour(image, random)[: image.shape[2]]
    return image


def light(image: ImageArray, how: Look, random: np.random.Generator) -> ImageArray:
    """Grey or a cast, bright or dark, from one side or from behind."""
    channels = image.shape[2]
    if channels == 3 and random.random() < how.grey_share:
        weights = LUMA + (INFRARED - LUMA) * np.float32(random.random())
        grey = cv2.transform(image, weights[None, :])
        image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    gain = 1.0 + _between(random, how.contrast)
    colours = 1.0 + (random.random(channels) * 2.0 - 1.0) * how.colour if channels == 3 else np.ones(1)
    offset = 127.5 * (1.0 - gain + _between(random, how.brightness))
    shaded, behind = random.random() < how.shade_share, random.random() < how.backlight_share
    if shaded or behind:
        image = _unevenly(image, shaded, behind, random)
    levels = np.arange(256, dtype=np.float32)[:, None] * (gain * colours) + offset
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return _with_channels(cv2.LUT(image, table[:, None, :] if channels == 3 else table[:, 0]))


def camera(image: ImageArray, how: Look, random: np.random.Generator) -> ImageArray:
    """Far away, out of focus, moved, noisy, compressed."""
    side = image.shape[0]
    steps: tuple[tuple[float, Callable[[ImageArray, np.random.Generator], ImageArray]], ...] = (
        (how.small_share, _small),
        (how.blur_share, _blurred),
        (how.motion_share, _moved),
    )
    for share, step in steps:
        if random.random() < share:
            image = step(image, random)
    if how.noise:
        strength = np.float32(random.random() * how.noise)
        begin = int(random.integers(0, len(NOISE) - image.size))
        noise = NOISE[begin : begin + image.size].reshape(image.shape)
        image = _with_channels(cv2.add(image, cv2.multiply(noise, float(strength)), dtype=cv2.CV_8U))
    if random.random() < how.jpeg_share and side >= 8:
        quality = int(random.integers(LOWEST_JPEG_QUALITY, 90))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        kind = cv2.IMREAD_GRAYSCALE if image.shape[2] == 1 else cv2.IMREAD_COLOR
        image = _with_channels(cv2.imdecode(data, kind))
    return image


def _small(image: ImageArray, random: np.random.Generator) -> ImageArray:
    side = image.shape[0]
    least = min(side, max(SMALLEST_SIDE_PX, side // 4))
    small = int(random.integers(least, max(least + 1, side // 2 + 1)))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return _with_channels(cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR))


def _blurred(image: ImageArray, random: np.random.Generator) -> ImageArray:
    sigma = random.uniform(0.2, 1.0) * LARGEST_BLUR * image.shape[0]
    return _with_channels(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _moved(image: ImageArray, random: np.random.Generator) -> ImageArray:
    length = max(2.0, random.uniform(0.3, 1.0) * LONGEST_MOTION * image.shape[0])
    angle = random.uniform(0.0, np.pi)
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), dtype=np.float32)
    # Fractions of a pixel, so that short smears have every direction.
    for along in np.linspace(-length / 2, length / 2, 4 * half + 1):
        kernel[round(half + along * np.sin(angle)), round(half + along * np.cos(angle))] += 1.0
    return _with_channels(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def _unevenly(image: ImageArray, shaded: bool, behind: bool, random: np.random.Generator) -> ImageArray:
    """Each place's own gain, made small and enlarged: light has no edges here."""
    y, x = np.mgrid[-1.0:1.0:8j, -1.0:1.0:8j]
    gain = np.ones_like(x)
    if shaded:
        angle, strength = random.uniform(0.0, 2.0 * np.pi), random.uniform(0.2, 0.7)
        gain *= 1.0 + strength * (np.cos(angle) * x + np.sin(angle) * y)
    if behind:
        face, ground = random.uniform(0.3, 0.7), random.uniform(1.3, 2.0)
        gain *= face + (ground - face) * np.clip(np.hypot(x, y) - 0.4, 0.0, 1.0)
    wide = cv2.resize(gain.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if image.shape[2] == 3:
        wide = cv2.cvtColor(wide, cv2.COLOR_GRAY2RGB)
    return _with_channels(cv2.multiply(image, wide.reshape(image.shape), dtype=cv2.CV_8U))


def _warp(
    crop: ImageArray, pixels: int, place: npt.NDArray[np.float64], most: float, random: np.random.Generator
) -> ImageArray:
    """Simard, Steinkraus, Platt 2003, with a coarse grid of shifts in place of a blurred fine one."""
    coarse = random.uniform(-most, most, (4, 4, 2)).astype(np.float32)
    shift = cv2.resize(coarse, (pixels, pixels), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:pixels, 0:pixels].astype(np.float32)
    at_x = (place[0, 0] * x + place[0, 1] * y + place[0, 2]).astype(np.float32) + shift[..., 0]
    at_y = (place[1, 0] * x + place[1, 1] * y + place[1, 2]).astype(np.float32) + shift[..., 1]
    return _with_channels(cv2.remap(crop, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _between(random: np.random.Generator, most: float) -> float:
    return (random.random() * 2.0 - 1.0) * most


def _colour(image: ImageArray, random: np.random.Generator) -> tuple[float, ...]:
    """Any, of as many channels as the image has."""
    return tuple(float(random.integers(0, 256)) for _ in range(image.shape[2]))


def _with_channels(image: FloatArray | ImageArray | cv2.typing.MatLike) -> ImageArray:
    """OpenCV drops a single channel."""
    whole = np.asarray(image, dtype=np.uint8)
    return whole[..., None] if whole.ndim == 2 else whole
