"""Every face lands on the template, whatever its size, place and tilt."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.align import align, averaged, similarity
from device.detect import Detector
from firmware_config.errors import BadInput
from firmware_config.face import TEMPLATE, FloatArray, ImageArray


def moved(scale: float, degrees: float, x: float, y: float) -> FloatArray:
    """The template, somewhere else."""
    angle = np.deg2rad(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (TEMPLATE @ turn.T + [x, y]).astype(np.float32)


@given(st.floats(0.1, 20), st.floats(-180, 180), st.floats(-2000, 4000, width=32), st.floats(-2000, 4000, width=32))
def test_similarity_undoes_any_move(scale: float, degrees: float, x: float, y: float) -> None:
    points = moved(scale, degrees, x, y)
    matrix = similarity(points, TEMPLATE)
    assert np.allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=0.05 / min(scale, 1))


def test_similarity_is_umeyamas() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        points = (TEMPLATE * rng.uniform(0.5, 4) + rng.normal(0, 5, (5, 2))).astype(np.float32)
        assert np.allclose(similarity(points, TEMPLATE), umeyama(points, TEMPLATE), atol=1e-3)


def umeyama(points: FloatArray, template: FloatArray) -> FloatArray:
    """Equations 39 to 43 of the paper, step by step."""
    source, target = points.astype(np.float64), template.astype(np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    left, singular, right = np.linalg.svd((target - target_mean).T @ (source - source_mean) / len(source))
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ np.diag(signs) @ right
    scale = (singular * signs).sum() / (source - source_mean).var(0).sum()
    return np.column_stack([scale * rotation, target_mean - scale * rotation @ source_mean]).astype(np.float32)


def test_crop_is_rgb() -> None:
    blue = np.zeros((300, 300, 3), np.uint8)
    blue[..., 0] = 255
    crop = align(blue, moved(1.5, 0, 40, 40))
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    assert (crop[30:80, 30:80] == [0, 0, 255]).all()


@pytest.mark.parametrize("scale", [0.7, 1.9, 2.5, 7.3])
def test_dots_at_the_landmarks_land_on_the_template(scale: float) -> None:
    points = moved(scale, 20, 400, 200)
    image = np.zeros((1400, 1400, 3), np.uint8)
    for x, y in points:
        # 16 fractional bits: a dot whose centre is where the landmark is, not at the nearest pixel.
        centre = (round(float(x) * 65536), round(float(y) * 65536))
        cv2.circle(image, centre, round(2.5 * scale * 65536), (255, 255, 255), -1, cv2.LINE_AA, 16)
    crop = align(image, points)[..., 0].astype(np.float64)
    for x, y in TEMPLATE:
        left, top = round(float(x)) - 6, round(float(y)) - 6
        spot = crop[top : top + 13, left : left + 13]
        rows, columns = np.mgrid[top : top + 13, left : left + 13]
        assert (spot * columns).sum() / spot.sum() == pytest.approx(x, abs=0.25)
        assert (spot * rows).sum() / spot.sum() == pytest.approx(y, abs=0.25)


def test_shrinking_much_averages_instead_of_picking_pixels() -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = align(stripes, moved(8.0, 0, 100, 100))
    assert np.abs(crop[20:90, 20:90].astype(int) - 128).max() < 20


def test_aligned_faces_have_their_landmarks_at_the_template(
    att: dict[int, list[ImageArray]], detector: Detector
) -> None:
    off = []
    for photos in att.values():
        image = cv2.resize(cv2.cvtColor(photos[0], cv2.COLOR_GRAY2BGR), None, fx=3, fy=3)
        crop = align(np.asarray(image), detector.detect(np.asarray(image))[0].landmarks)
        again = detector.detect(np.ascontiguousarray(crop[..., ::-1]))[0].landmarks
        off.append(np.abs(again - TEMPLATE).mean())
    # A similarity cannot bring every face's five points onto the template; on average they are near.
    assert np.mean(off) < 3.5


def test_landmarks_on_one_point_are_refused() -> None:
    for points in (np.full((5, 2), 7, np.float32), np.full((5, 2), np.nan, np.float32)):
        with pytest.raises(BadInput, match="landmarks"):
            align(np.zeros((50, 50, 3), np.uint8), points)


def test_large_face_outside_the_image_is_refused() -> None:
    with pytest.raises(BadInput, match="outside the image"):
        align(np.zeros((50, 50, 3), np.uint8), moved(5, 0, 4000, 4000))


def test_large_face_at_the_edge_is_black_where_the_image_ends() -> None:
    white = np.full((600, 600, 3), 255, np.uint8)
    crop = align(white, moved(5.0, 0, -280, 20))
    assert (crop[20:90, :50] == 0).all()
    assert (crop[20:90, 62:100] == 255).all()


@pytest.mark.parametrize("times", [2, 3, 4, 5, 7])
def test_shrinking_by_whole_pixels_is_opencvs_average(times: int) -> None:
    image = np.random.default_rng(times).integers(0, 256, (20 * times, 31 * times, 3), dtype=np.uint8)
    expected = cv2.resize(image, (31, 20), interpolation=cv2.INTER_AREA)
    # A half may be rounded either way.
    apart = np.abs(averaged(image, times).astype(int) - np.asarray(expected).astype(int))
    assert apart.max() <= 1
    assert np.mean(apart) < (0.15 if times % 2 == 0 else 0.01)
