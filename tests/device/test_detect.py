"""The detector finds what OpenCV's own YuNet finds, where it finds it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from device.detect import Detector, detector_model
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


def test_agrees_with_opencv_on_forty_people(att: Photos, detector: Detector) -> None:
    for person, photos in att.items():
        image = in_colour(photos[person % 10])
        ours, theirs = detector.detect(image), opencv_faces(image)
        assert len(ours) == len(theirs) == 1, person
        assert np.allclose(ours[0].box, theirs[0, :4], atol=0.5)
        assert np.allclose(ours[0].landmarks.ravel(), theirs[0, 4:14], atol=0.5)
        assert ours[0].score == pytest.approx(theirs[0, 14], abs=0.01)


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


def test_free_size_model_is_the_same_each_time_it_is_made(detector: Detector, tmp_path: Path) -> None:
    official = fetch("yunet")
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / official.name).write_bytes(official.read_bytes())
        made.append(detector_model(tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_a_mirrored_view_and_another_size_in_between_change_nothing(detector: Detector) -> None:
    """The network's input is kept from picture to picture: nothing of one may show in the next."""
    small = np.random.default_rng(1).integers(0, 256, (200, 320, 3), dtype=np.uint8)
    blank = np.zeros((200, 320, 3), np.uint8)
    first, _ = detector._blob(small[:, ::-1], 320)
    mirrored = first.copy()
    detector._blob(np.full((240, 320, 3), 255, np.uint8), 320)
    again, _ = detector._blob(small[:, ::-1], 320)
    assert np.array_equal(again, mirrored)
    assert np.array_equal(mirrored[0, :, :200], small[:, ::-1].transpose(2, 0, 1))
    assert not detector._blob(blank, 320)[0].any()
