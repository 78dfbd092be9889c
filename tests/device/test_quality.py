"""A bad picture is refused with the reason that a person can mend; a good one of anybody passes."""

from __future__ import annotations

from dataclasses import asdict

import cv2
import numpy as np
import pytest

from device.align import align
from device.demo_camera import DemoPlan, DemoScene
from device.detect import Detector, Face
from device.quality import DOOR_GATE, QualityGate, assess
from device.ranker import QualityRanker
from firmware_config.errors import BadInput
from firmware_config.face import TEMPLATE, FloatArray, ImageArray, Reason
from tests.rankers import light_ranker

Photos = dict[int, list[ImageArray]]


def picture(photo: ImageArray, scale: float = 3.0) -> ImageArray:
    big = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(big, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def reason_for(image: ImageArray, face: Face, gate: QualityGate = DOOR_GATE) -> Reason | None:
    return assess(image, face, align(image, face.landmarks), gate).reason


@pytest.fixture
def portrait(att: Photos) -> ImageArray:
    return picture(att[5][0])


@pytest.fixture
def face(portrait: ImageArray, detector: Detector) -> Face:
    return detector.detect(portrait)[0]


def test_photos_of_all_forty_people_pass(att: Photos, detector: Detector) -> None:
    refused = []
    for person, photos in att.items():
        image = picture(photos[0])
        refused += [(person, reason) for f in detector.detect(image)[:1] if (reason := reason_for(image, f))]
    assert refused == []


def test_somebody_far_off_is_asked_to_come_closer_and_passes_at_the_door(att: Photos, detector: Detector) -> None:
    scene = DemoScene(DemoPlan(owners=(9,), strangers=(), photos=(2,)), att)
    verdicts = []
    for time_s in (0.2, 2.4):
        image = scene.at(time_s)[0]
        verdicts.append(reason_for(image, detector.detect(image)[0]))
    assert verdicts == [Reason.TOO_SMALL, None]


@pytest.mark.parametrize(
    ("gain", "lift", "reason"),
    [(0.12, 0, Reason.TOO_DARK), (0.45, 0, None), (1.0, 150, Reason.TOO_BRIGHT)],
)
def test_light(portrait: ImageArray, face: Face, gain: float, lift: float, reason: Reason | None) -> None:
    lit = np.clip(portrait * gain + lift, 0, 255).astype(np.uint8)
    assert reason_for(lit, face) == reason


def test_blur_is_refused_however_strong_the_contrast(portrait: ImageArray, face: Face) -> None:
    blurred = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 9))
    assert reason_for(portrait, face) is None
    assert reason_for(blurred, face) == Reason.BLURRED
    flat = (portrait * 0.4 + 80).astype(np.uint8)
    assert reason_for(flat, face) is None


def squeezed(points: FloatArray) -> FloatArray:
    """As a face turned by some 60 degrees: its width shrinks, and the nose goes to the side."""
    middle = points.mean(axis=0)
    turned: FloatArray = ((points - middle) * np.array([0.5, 1.0]) + middle).astype(np.float32)
    turned[2, 0] += 30
    return turned


@pytest.mark.parametrize("degrees", [0, 40, -75])
def test_turned_head_is_refused_and_tilted_head_is_not(degrees: float) -> None:
    image = np.random.default_rng(2).integers(90, 160, (500, 500, 3), dtype=np.uint8)
    angle = np.deg2rad(degrees)
    tilt = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def posed(points: FloatArray) -> Face:
        centred = (points - TEMPLATE.mean(axis=0)) * 2
        return Face((150, 150, 200, 200), (centred @ tilt.T + 250).astype(np.float32), 0.9)

    looking_down = TEMPLATE.copy()
    looking_down[2, 1] += 14
    assert reason_for(image, posed(TEMPLATE)) is None
    assert reason_for(image, posed(squeezed(TEMPLATE))) == Reason.TURNED_AWAY
    assert reason_for(image, posed(looking_down)) == Reason.TURNED_AWAY


def test_face_cut_off_by_the_edge_is_asked_to_look_here(portrait: ImageArray, face: Face) -> None:
    x, y, width, height = face.box
    half_out = Face((-width / 2, y, width, height), face.landmarks, face.score)
    assert reason_for(portrait, half_out) == Reason.TURNED_AWAY
    assert reason_for(portrait, Face((x, y, width, height), face.landmarks, face.score)) is None


def test_every_limit_has_its_value_in_the_report(portrait: ImageArray, face: Face) -> None:
    ranker = QualityRanker(light_ranker(darkest=0.0))
    values = assess(portrait, face, align(portrait, face.landmarks), ranker=ranker).values
    limited = {name.removeprefix("min_").removeprefix("max_") for name in asdict(DOOR_GATE)}
    assert set(values) == limited
    assert all(np.isfinite(value) for value in values.values())


def test_gate_can_be_stricter_for_enrolment(portrait: ImageArray, face: Face) -> None:
    assert reason_for(portrait, face, QualityGate(min_eye_distance_px=300)) == Reason.TOO_SMALL


def test_broken_landmarks_never_pass(portrait: ImageArray, face: Face) -> None:
    crop = align(portrait, face.landmarks)
    for points in (np.full((5, 2), np.nan, np.float32), np.zeros((5, 2), np.float32)):
        assert assess(portrait, Face(face.box, points, 0.9), crop).reason is not None


def test_what_is_no_crop_is_refused(portrait: ImageArray, face: Face) -> None:
    with pytest.raises(BadInput, match="crop"):
        assess(portrait, face, portrait)
