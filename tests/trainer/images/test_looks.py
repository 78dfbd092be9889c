"""What a door's camera makes of a face: each step does what its name says, and nothing when it is left out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from firmware_config.face import ImageArray
from trainer.data import BORDER
from trainer.images.looks import look, plain
from trainer.parts import Look

OFF = Look(**{key: False if value is True else 0 for key, value in Look().model_dump().items()})


def face(seed: int = 0, channels: int = 3, side: int = 128) -> ImageArray:
    """A made-up crop with smooth colours: dark eyes and mouth where the template has them."""
    random = np.random.default_rng(seed)
    rough = random.integers(90, 200, (8, 8, channels), dtype=np.uint8)
    crop = cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC).reshape(side, side, channels)
    for x, y in ((0.36, 0.46), (0.64, 0.46), (0.5, 0.78)):
        cv2.circle(crop, (int(x * side), int(y * side)), side // 16, (20,) * channels, -1)
    return crop


def looked(change: dict[str, object], seed: int = 1, crop: ImageArray | None = None) -> ImageArray:
    how = OFF.model_copy(update=change)
    return look(face() if crop is None else crop, 112, how, np.random.default_rng(seed), BORDER if crop is None else 0)


def sharpness(image: ImageArray) -> float:
    return float(cv2.Laplacian(image.mean(axis=2), cv2.CV_64F).var())


def test_all_left_out_is_the_crop_that_a_door_would_make() -> None:
    assert np.array_equal(looked({}), face()[8:120, 8:120])
    assert np.array_equal(plain(face(), 112, BORDER), face()[8:120, 8:120])


def test_a_crop_of_another_size_is_taken_whole() -> None:
    grey = face(channels=1, side=100)
    assert np.array_equal(look(grey, 100, OFF, np.random.default_rng(0)), grey)
    assert plain(grey, 64).shape == (64, 64, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pixels", [28, 64, 112])
def test_everything_at_once_keeps_shape_and_repeats_with_its_chance(channels: int, pixels: int) -> None:
    everything = Look(
        **{key: 1.0 for key in Look.model_fields if key.endswith("_share")}, shear_degrees=8.0, elastic=0.02
    )
    crop = face(channels=channels)
    first, again, other = (look(crop, pixels, everything, np.random.default_rng(seed), BORDER) for seed in (4, 4, 5))
    assert first.shape == (pixels, pixels, channels)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(crop, face(channels=channels)), "the training image itself is left alone"


def test_half_are_mirrored() -> None:
    middle = face()[8:120, 8:120]
    seen = [looked({"mirror": True}, seed) for seed in range(40)]
    mirrored = sum(np.array_equal(image, middle[:, ::-1]) for image in seen)
    assert 8 < mirrored < 32
    assert mirrored + sum(np.array_equal(image, middle) for image in seen) == 40


@pytest.mark.parametrize(
    "change",
    [
        {"turn_degrees": 10.0},
        {"zoom": 0.1},
        {"shift": 0.05},
        {"shear_degrees": 10.0},
        {"landmarks": 0.02},
        {"elastic": 0.03},
    ],
    ids=lambda change: next(iter(change)),
)
def test_moving_moves_a_little_and_about_the_middle(change: dict[str, object]) -> None:
    """The eyes stay within a tenth of the image of where they were, here and there, and the light is the same."""
    begin = cv2.GaussianBlur(plain(face(), 112, BORDER), (0, 0), 2.0)
    moved = [looked(change, seed) for seed in range(12)]
    assert any(not np.array_equal(image, plain(face(), 112, BORDER)) for image in moved)
    for image in moved:
        template = cv2.GaussianBlur(begin, (0, 0), 2.0)[30:70, 22:90]
        place = cv2.minMaxLoc(cv2.matchTemplate(image, template, cv2.TM_CCOEFF_NORMED))[3]
        assert np.hypot(place[0] - 22, place[1] - 30) < 12
        assert abs(float(image.mean()) - float(begin.mean())) < 12


@pytest.mark.parametrize("change", [{"small_share": 1.0}, {"blur_share": 1.0}, {"motion_share": 1.0}])
def test_far_out_of_focus_or_moved_is_less_sharp(change: dict[str, object]) -> None:
    for seed in range(6):
        assert sharpness(looked(change, seed)) < 0.9 * sharpness(looked({}))


def test_motion_smears_in_one_direction() -> None:
    image = np.zeros((112, 112, 3), dtype=np.uint8)
    image[56, 56] = 255
    for seed in range(6):
        smear = looked({"motion_share": 1.0}, seed, image).sum(axis=2).astype(float)
        y, x = np.nonzero(smear)
        spread = np.linalg.eigvalsh(np.cov(np.stack([y, x]), aweights=smear[y, x]))
        assert spread[1] > 3 * max(spread[0], 0.05)


def test_grey_is_grey_and_as_bright_as_it_may_be_under_infra_red() -> None:
    red = np.full((112, 112, 3), (200, 100, 80), dtype=np.uint8)
    values = [looked({"grey_share": 1.0}, seed, red)[0, 0] for seed in range(20)]
    assert all(len(set(value.tolist())) == 1 for value in values)
    luma, infrared = 0.299 * 200 + 0.587 * 100 + 0.114 * 80, 0.75 * 200 + 0.2 * 100 + 0.05 * 80
    assert all(luma - 1 <= value[0] <= infrared + 1 for value in values)
    assert max(value[0] for value in values) > luma + 20


def test_light_from_one_side_and_from_behind() -> None:
    flat = np.full((112, 112, 3), 100, dtype=np.uint8)
    shaded = looked({"shade_share": 1.0}, 3, flat)[..., 0].astype(float)
    corners = shaded[[5, 5, -6, -6], [5, -6, 5, -6]]
    assert corners.max() - corners.min() > 20
    behind = looked({"backlight_share": 1.0}, 3, flat)[..., 0].astype(float)
    assert behind[46:66, 46:66].mean() < 75
    assert behind[[2, 2, -3, -3], [2, -3, 2, -3]].min() > 105


def test_a_cast_changes_the_colours_apart_and_brightness_together() -> None:
    flat = np.full((112, 112, 3), 100, dtype=np.uint8)
    cast = looked({"colour": 0.2}, 2, flat)[0, 0].astype(int)
    assert len(set(cast.tolist())) == 3
    assert all(80 <= value <= 120 for value in cast)
    lit = [looked({"brightness": 0.3}, seed, flat)[0, 0].tolist() for seed in range(20)]
    assert all(len(set(value)) == 1 for value in lit)
    assert min(lit)[0] < 80
    assert max(lit)[0] > 120


def test_noise_has_the_strength_that_is_said_at_most() -> None:
    flat = np.full((112, 112, 3), 100, dtype=np.uint8)
    strengths = [float(looked({"noise": 10.0}, seed, flat).std()) for seed in range(30)]
    assert 5.0 < max(strengths) < 10.5
    assert min(strengths) < 3.0


def test_jpeg_leaves_the_picture_and_not_the_bytes() -> None:
    image = looked({"jpeg_share": 1.0})
    assert not np.array_equal(image, looked({}))
    assert float(np.abs(image.astype(int) - looked({}).astype(int)).mean()) < 6.0


def test_a_mask_covers_the_mouth_and_leaves_the_eyes() -> None:
    for seed in range(6):
        change = np.abs(looked({"mask_share": 1.0}, seed).astype(int) - looked({}).astype(int)).sum(axis=2) > 0
        assert change[80:95, 40:72].mean() > 0.9
        assert change[:50].mean() == 0.0


def test_a_patch_covers_up_to_a_sixth() -> None:
    for seed in range(10):
        changed = (looked({"cover_share": 1.0}, seed) != looked({})).any(axis=2).mean()
        assert 0.01 < changed <= 0.165


def test_shares_are_shares() -> None:
    seen = sum(not np.array_equal(looked({"jpeg_share": 0.25}, seed), looked({})) for seed in range(200))
    assert 30 <= seen <= 72  # 50 expected; four deviations
