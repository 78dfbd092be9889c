"""Two detectors behind one encoder, and how steady the first one's points are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks import faces, jitter, landmarks, steadiness
from benchmarks.retinaface import RetinaFace, retinaface_model
from device.detect import Detector, Face
from firmware_config.errors import LostLink
from firmware_config.face import TEMPLATE, FloatArray, ImageArray
from tests.conftest import unfetched
from trainer.images.lfw import ten_fold
from trainer.images.shots import shoot

SIDE = 300
POINTS: FloatArray = (TEMPLATE * 1.5 + 60).astype(np.float32)


def face_at(points: FloatArray) -> Face:
    return Face((0.0, 0.0, 100.0, 100.0), points, 0.9)


def dots() -> ImageArray:
    """Five soft dots where the eyes, the nose and the corners of the mouth are."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 40.0) for x, y in POINTS)
    return np.repeat((np.clip(image, 0, 1) * 200).astype(np.uint8)[:, :, None], 3, axis=2)


def find_dots(image: ImageArray) -> list[Face]:
    """A detector without an error: the dots' centres of mass, eyes first."""
    grey = image[:, :, 0].astype(np.float64) - image.min()
    count, labels = cv2.connectedComponents((grey > grey.max() / 4).astype(np.uint8))
    if count != 6:
        return []
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    found = []
    for label in range(1, 6):
        weight = np.where(labels == label, grey - grey.max() / 4, 0.0)
        found.append((float((columns * weight).sum() / weight.sum()), float((rows * weight).sum() / weight.sum())))
    found.sort(key=lambda point: point[1])
    ordered = [*sorted(found[:2]), found[2], *sorted(found[3:])]
    return [face_at(np.array(ordered, dtype=np.float32))]


@pytest.mark.parametrize("name", jitter.CHANGES)
def test_a_detector_without_error_is_steady_under_every_change(name: str) -> None:
    image = dots()
    (face,) = find_dots(image)
    assert face.landmarks == pytest.approx(POINTS, abs=0.2)
    for seed in range(5):
        shot = faces.Shot(image, face, found=True)
        moved = jitter.moved(shot, find_dots, jitter.CHANGES[name], np.random.default_rng(seed))
        assert moved is not None
        assert moved.points.max() < 0.5
        assert abs(moved.zoom) < 0.01


def test_a_change_moves_the_picture() -> None:
    image = dots()
    for change in jitter.CHANGES.values():
        changed, _ = change(image, np.random.default_rng(0))
        assert changed.shape == image.shape
        assert np.abs(changed.astype(int) - image).max() > 5


def test_the_crops_turn_zoom_and_shift_are_told_apart() -> None:
    turn, zoom, shift = np.radians(4.0), 1.05, np.array([2.0, -1.0])
    middle = (112 - 1) / 2
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    # The second look believes the face to be turned, larger and elsewhere; the first one's points are the template.
    second = (TEMPLATE - middle) @ matrix.T + middle + shift
    moved = jitter.between(TEMPLATE, second.astype(np.float32))
    assert moved is not None
    assert moved.turn == pytest.approx(4.0, abs=1e-3)
    assert moved.zoom == pytest.approx(0.05, abs=1e-4)
    assert moved.shift == pytest.approx(shift, abs=1e-3)
    same = jitter.between(POINTS, POINTS)
    assert same is not None
    assert same.points.max() == 0.0
    assert jitter.between(TEMPLATE, TEMPLATE + 80) is None


def test_covered_is_the_share_within_the_trainers_jitter() -> None:
    shifts = [0.0, 1.0, 2.9, 3.1]
    all_moved = [jitter.Moved(np.full(5, s), 0.0, 0.0, np.array([s, 0.0]), TEMPLATE) for s in shifts]
    summary = steadiness.summary(all_moved)
    assert summary["covered"] == {"turn": 1.0, "zoom": 1.0, "shift": 0.75, "all": 0.75}
    assert summary["covered_one"]["all"] == 1.0
    assert summary["point_px"]["p50"] == pytest.approx(1.95)


def test_pairs_are_judged_as_view_2_does() -> None:
    random = np.random.default_rng(5)
    same = random.random(400) < 0.5
    apart = np.where(same, random.normal(0.8, 0.2, 400), random.normal(1.2, 0.2, 400)).astype(np.float32)
    assert landmarks.right_pairs(apart, same).mean() == pytest.approx(ten_fold(apart, same).mean())


def test_the_turned_pairs_are_those_whose_noses_point_apart() -> None:
    turned_right = TEMPLATE.copy()
    turned_right[2, 0] += 10
    assert landmarks.yaw(face_at(turned_right)) == pytest.approx(
        landmarks.yaw(face_at(TEMPLATE)) + 10 / 35.24, abs=0.01
    )
    shots = [faces.Shot(dots(), face_at(points), found=True) for points in (TEMPLATE, turned_right)]
    rows = np.array([[0, 0]] * 9 + [[0, 1]])
    pairs = faces.Pairs(shots, rows, np.zeros(10, dtype=bool))
    assert landmarks.turned_pairs({"one": pairs}).tolist() == [False] * 9 + [True]


def test_a_face_that_one_detector_misses_takes_its_pairs_out_for_both() -> None:
    shots = [faces.Shot(dots(), face_at(POINTS), found=True) for _ in range(3)]
    pairs = faces.Pairs(shots, np.array([[0, 1], [1, 2], [0, 2]]), np.array([True, False, True]))
    blind = faces.Pairs(landmarks.looked_at(shots, lambda image: []), pairs.rows, pairs.same)
    half = faces.Pairs([shots[0], shots[1], blind.shots[2]], pairs.rows, pairs.same)
    looks, missed = landmarks.both_found({"all": pairs, "half": half})
    assert [look.rows.tolist() for look in looks.values()] == [[[0, 1]]] * 2
    assert missed == {"all": 0, "half": 1}


def test_both_detectors_find_the_same_face(att: dict[int, list[ImageArray]], detector: Detector) -> None:
    try:
        other = RetinaFace(retinaface_model())
    except LostLink as error:
        unfetched(error)
    photos = [cv2.cvtColor(att[person][0], cv2.COLOR_GRAY2BGR) for person in (1, 2, 3)]
    shots = shoot(photos)
    again = landmarks.looked_at(shots, other.detect)
    for shot, second in zip(shots, again, strict=True):
        assert second.found
        eyes = float(np.linalg.norm(shot.face.landmarks[0] - shot.face.landmarks[1]))
        assert np.linalg.norm(shot.face.landmarks - second.face.landmarks, axis=1).mean() < 0.15 * eyes
    times = landmarks.times_ms({"YuNet": detector.detect, "RetinaFace": other.detect}, photos[0], runs=2)
    assert all(ms > 0 for frame in times.values() for ms in frame.values())
