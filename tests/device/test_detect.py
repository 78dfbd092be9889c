"""The network is OpenCV's own YuNet; a face is the mean of what its anchors say."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from device.detect import MAX_OVERLAP, MIN_SCORE, Detector, anchors
from device.halves import Halves
from device.view import View, whole
from firmware_config.assets import fetch
from firmware_config.errors import BadInput, BadState
from firmware_config.face import TEMPLATE, FloatArray, ImageArray

Photos = dict[int, list[ImageArray]]

SKIN = np.array([0.62, 0.78, 0.95], dtype=np.float32)
"""Blue, green, red: a grey face in the colours of one, so that swapped channels would show."""


def in_colour(grey: ImageArray, width: int = 288, height: int = 320) -> ImageArray:
    big = np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_CUBIC))
    return (big[..., None] * SKIN).astype(np.uint8)


def pasted(photo: ImageArray, at: tuple[int, int], shape: tuple[int, int] = (480, 640)) -> ImageArray:
    frame = np.full((*shape, 3), 170, dtype=np.uint8)
    y, x = at
    frame[y : y + photo.shape[0], x : x + photo.shape[1]] = photo
    return frame


def opencv_faces(image: ImageArray) -> FloatArray:
    size = (image.shape[1], image.shape[0])
    found = cv2.FaceDetectorYN.create(str(fetch("yunet")), "", size, 0.7, 0.3, 5000).detect(image)[1]
    return np.asarray(found if found is not None else np.empty((0, 15)), dtype=np.float32)


class Anchors(NamedTuple):
    """What the network says of each of M anchors that may show a face: box float64[M, 4], x, y, width, height, and
    marks float64[M, 5, 2], pixels of the image; likely float64[M], 0 to 1."""

    box: FloatArray
    marks: FloatArray
    likely: FloatArray


def all_anchors(detector: Detector, image: ImageArray) -> Anchors:
    """Those above MIN_SCORE, computed here from the rows that the graph gives beside its faces."""
    view = whole(image, detector.long_side)
    blob, ratio = detector._blob(Halves(image), view), view.scale
    at, step = anchors(*blob.shape[2:])
    given = {"image": blob, "at": at, "step": step, "score": np.array([MIN_SCORE**2], dtype=np.float32)}
    box, kps, likely = (rows[0].astype(np.float64) for rows in detector._session.run(("box", "kps", "likely"), given))
    marks = kps.reshape(-1, 5, 2) * step[0][..., None] + at[0][:, None, :2]
    corner = box[:, :2] - box[:, 2:] / 2
    above = likely[:, 0] > MIN_SCORE**2
    boxes = np.hstack([corner * ratio, box[:, 2:] * ratio])
    return Anchors(boxes[above], (marks * ratio)[above], likely[above, 0])


def overlaps(box: FloatArray, others: FloatArray) -> FloatArray:
    """Intersection over union."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return np.asarray(shared / (box[2:].prod() + others[:, 2:].prod(axis=1) - shared))


def test_the_best_anchor_is_opencv_s_face_for_forty_people(att: Photos, detector: Detector) -> None:
    for person, photos in att.items():
        image = in_colour(photos[person % 10])
        ours, theirs = detector.detect(image), opencv_faces(image)
        assert len(ours) == len(theirs) == 1, person
        seen = all_anchors(detector, image)
        best = int(seen.likely.argmax())
        assert np.allclose(seen.box[best], theirs[0, :4], atol=0.5)
        assert np.allclose(seen.marks[best].ravel(), theirs[0, 4:14], atol=0.5)
        assert ours[0].score == pytest.approx(theirs[0, 14], abs=0.01)


def test_a_face_is_the_mean_of_its_anchors(att: Photos, detector: Detector) -> None:
    frame = pasted(in_colour(att[3][0], 184, 224), (30, 30))
    frame[100:400, 300:546] = in_colour(att[7][0], 246, 300)
    found, seen = detector.detect(frame), all_anchors(detector, frame)
    assert len(found) == 2
    for face in found:
        near = overlaps(np.array(face.box), seen.box) > 0.5
        best = seen.box[np.flatnonzero(near)[seen.likely[near].argmax()]]
        weights = np.clip(overlaps(best, seen.box) - MAX_OVERLAP, 0, None) * (seen.likely - MIN_SCORE**2)
        assert np.count_nonzero(weights) > 2, "one anchor alone would be its own mean"
        assert np.allclose(face.box, np.average(seen.box, axis=0, weights=weights), atol=0.01)
        assert np.allclose(face.landmarks, np.average(seen.marks, axis=0, weights=weights), atol=0.01)


def test_the_mean_of_the_anchors_is_steadier_than_the_best(att: Photos, detector: Detector) -> None:
    """Forty people, each a few pixels aside and back: how far the landmarks move against their photo."""
    blended, best = [], []
    for person, photos in att.items():
        photo = in_colour(photos[person % 10], 184, 224)
        means, bests = [], []
        for step in (0, 5, 9):
            frame = pasted(photo, (100 + step, 300 + step))
            means.append(detector.detect(frame)[0].landmarks - step)
            seen = all_anchors(detector, frame)
            bests.append(seen.marks[seen.likely.argmax()] - step)
        for moved, looks in ((blended, means), (best, bests)):
            moved.append(np.linalg.norm(np.ptp(looks, axis=0), axis=1).mean())
    assert np.mean(blended) < 0.75 * np.mean(best)
    assert np.quantile(blended, 0.9) < 0.75 * np.quantile(best, 0.9)


def test_landmarks_come_in_the_order_of_the_template(att: Photos, detector: Detector) -> None:
    face = detector.detect(in_colour(att[5][0]))[0]
    # Left of the middle in the template is left in the image, above is above.
    assert np.array_equal(
        np.sign(face.landmarks[[0, 1, 3, 4], 0] - face.landmarks[2, 0]),
        np.sign(TEMPLATE[[0, 1, 3, 4], 0] - TEMPLATE[2, 0]),
    )
    assert face.landmarks[:2, 1].max() < face.landmarks[2, 1] < face.landmarks[3:, 1].min()


def test_coordinates_are_those_of_the_image_given(att: Photos, detector: Detector) -> None:
    photo = in_colour(att[3][0], 184, 224)
    small = detector.detect(pasted(photo, (100, 300)))[0]
    large_image = np.asarray(cv2.resize(pasted(photo, (100, 300)), (1280, 960), interpolation=cv2.INTER_LINEAR))
    large = detector.detect(large_image)[0]
    assert np.allclose(large.landmarks, small.landmarks * 2, atol=6)
    assert (small.landmarks > [300, 100]).all()


def test_largest_face_comes_first(att: Photos, detector: Detector) -> None:
    frame = pasted(in_colour(att[3][0], 92, 112), (30, 30))
    frame[100:400, 300:546] = in_colour(att[7][0], 246, 300)
    widths = [face.box[2] for face in detector.detect(frame)]
    assert len(widths) == 2
    assert widths[0] > 2 * widths[1]


def test_no_face_on_a_wall_or_in_noise(detector: Detector) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert detector.detect(noise) == []
    assert detector.detect(np.full((480, 640, 3), 128, np.uint8)) == []


@pytest.mark.parametrize("shape", [(17, 900), (900, 17), (33, 31), (481, 641)])
def test_any_shape_of_image_is_taken(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []


def test_small_face_in_a_large_photo_is_found_at_a_larger_size(att: Photos, detector: Detector) -> None:
    photo = pasted(in_colour(att[3][0], 92, 112), (700, 900), (1500, 2000))
    assert detector.detect(photo) == []
    assert len(detector.detect(photo, long_side=1280)) == 1


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3), np.uint8), np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.float32)]
)
def test_what_is_no_image_is_refused(detector: Detector, image: ImageArray) -> None:
    with pytest.raises(BadInput, match="image"):
        detector.detect(image)


def test_missing_foreign_and_fixed_models_are_refused(detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(BadState, match="latchkey-device fetch"):
        Detector(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_bytes(b"no model")
    with pytest.raises(BadInput, match="not an ONNX model"):
        Detector(tmp_path / "text.onnx")
    with pytest.raises(BadInput, match="detector_model"):
        Detector(fetch("yunet"))


def test_a_mirrored_view_and_another_size_in_between_change_nothing(detector: Detector) -> None:
    """The network's input is kept from picture to picture: nothing of one may show in the next."""
    small = np.random.default_rng(1).integers(0, 256, (200, 320, 3), dtype=np.uint8)
    blank = np.zeros((200, 320, 3), np.uint8)
    view = whole(small, 320)
    mirrored = detector._blob(Halves(small[:, ::-1]), view).copy()
    detector._blob(Halves(np.full((240, 320, 3), 255, np.uint8)), View(0, 0, 320, 240, 320, 240))
    again = detector._blob(Halves(small[:, ::-1]), view)
    assert np.array_equal(again, mirrored)
    assert np.array_equal(mirrored[0, :, :200], small[:, ::-1].transpose(2, 0, 1))
    assert not detector._blob(Halves(blank), view)[0].any()
