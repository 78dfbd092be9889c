"""Half of an image's size is made once, and is the same whoever asks for which part of it."""

from __future__ import annotations

import numpy as np
import pytest

from device import halves as halving
from device.align import align, cut_out
from device.detect import Detector
from device.detector_file import detector_model
from device.halves import Halves, half
from firmware_config.face import TEMPLATE, ImageArray

NOISE = np.random.default_rng(4).integers(0, 256, (480, 640, 3), dtype=np.uint8)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes that were halved."""
    shapes: list[tuple[int, ...]] = []

    def noted(image: ImageArray) -> ImageArray:
        shapes.append(image.shape)
        return half(image)

    monkeypatch.setattr(halving, "half", noted)
    return shapes


def test_a_part_of_what_was_made_is_what_would_have_been_made_of_it(made: list[tuple[int, ...]]) -> None:
    halves = Halves(NOISE)
    halves.of(10, 20, 610, 460)
    for edges in ((10, 20, 610, 460), (100, 100, 300, 280), (12, 22, 14, 460)):
        assert np.array_equal(halves.of(*edges), Halves(NOISE).of(*edges))
    assert made[0] == (440, 600, 3)
    assert len(made) == 4, "one for all, and one each of its own"


@pytest.mark.parametrize("edges", [(8, 20, 300, 300), (10, 18, 300, 300), (10, 20, 612, 300), (10, 20, 300, 462)])
def test_what_lies_outside_is_made(made: list[tuple[int, ...]], edges: tuple[int, int, int, int]) -> None:
    halves = Halves(NOISE)
    halves.of(10, 20, 610, 460)
    assert np.array_equal(halves.of(*edges), half(NOISE[edges[1] : edges[3], edges[0] : edges[2]]))
    assert len(made) == 2


def test_between_the_steps_a_part_is_made_of_its_own_pixels(made: list[tuple[int, ...]]) -> None:
    halves = Halves(NOISE)
    halves.of(11, 20, 611, 460)
    assert np.array_equal(halves.of(13, 20, 33, 40), half(NOISE[20:40, 13:33]))
    assert np.array_equal(halves.of(12, 20, 32, 40), half(NOISE[20:40, 12:32]))
    assert len(made) == 3


def test_whoever_finds_a_face_and_cuts_it_out_halves_the_image_once(made: list[tuple[int, ...]]) -> None:
    halves, landmarks = Halves(NOISE), TEMPLATE * 2.4 + np.float32([201, 99])
    Detector(detector_model()).search(halves)
    assert made == [(480, 640, 3)]
    crop = cut_out(halves, landmarks)
    assert len(made) == 1
    assert np.array_equal(crop, align(NOISE, landmarks))
