"""What part of an image the detector is shown: inside the image, around the face, and in step with its anchors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.view import INPUT_MULTIPLE, LEAST_PX, MOST_PX, View, around, whole
from firmware_config.face import ImageArray


def image(width: int, height: int) -> ImageArray:
    return np.zeros((height, width, 3), np.uint8)


def test_the_whole_is_seen_at_the_size_asked_for_and_padded() -> None:
    view = whole(image(640, 360), 320)
    assert view == View(0, 0, 640, 360, 320, 180)
    assert view.padded == (192, 320)
    assert view.scale == (2, 2)
    assert view.area == 192 * 320


def test_a_face_in_the_middle_is_in_the_middle_of_its_part() -> None:
    view = around(image(640, 480), 320, (270, 190, 100, 100))
    assert view == View(192, 128, 448, 384, 128, 128)
    assert view.area == LEAST_PX**2


def test_a_near_face_is_looked_at_more_coarsely() -> None:
    """156 input pixels high: as 78, in a part that is as large as it has to be."""
    view = around(image(640, 480), 320, (175, 109, 260, 311))
    assert view.scale == (4, 4)
    assert view.area == 160 * 128
    assert around(image(640, 480), 320, (200, 150, 2 * MOST_PX, 2 * MOST_PX)).scale == (2, 2)
    assert around(image(640, 480), 320, (200, 150, 2 * MOST_PX + 1, 2 * MOST_PX)).scale == (4, 4)


def test_a_picture_without_faces_elsewhere_has_a_nearest_part() -> None:
    assert around(image(640, 480), 320, (-500, 2000, 50, 50)) == View(0, 256, 256, 480, 128, 112)


@given(
    st.integers(64, 2000),
    st.integers(64, 2000),
    st.sampled_from([160, 320, 480, 640]),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(0.01, 1)),
)
def test_every_part_lies_in_its_image_and_holds_its_face(
    width: int, height: int, long_side: int, place: tuple[float, float, float, float]
) -> None:
    """place: of the face, in shares of the image; it may reach beyond it."""
    x, y, broad, high = place
    box = x * width, y * height, broad * width, high * height
    view = around(image(width, height), long_side, box)
    assert 0 <= view.left < view.right <= width
    assert 0 <= view.top < view.bottom <= height
    assert view.width > 0
    assert view.height > 0
    across, down = view.scale
    # A whole number of input pixels stands for image pixels that are rounded.
    slack_x, slack_y = across * INPUT_MULTIPLE / 2 + 1, down * INPUT_MULTIPLE / 2 + 1
    assert view.left <= max(box[0] + slack_x, width - view.padded[1] * across)
    assert view.top <= max(box[1] + slack_y, height - view.padded[0] * down)
    assert view.right >= min(box[0] + box[2], width) - slack_x
    assert view.bottom >= min(box[1] + box[3], height) - slack_y


@pytest.mark.parametrize("box", [(100, 60, 70, 90), (500, 300, 60, 60), (0, 0, 30, 30)])
def test_a_part_has_the_very_pixels_of_the_whole(box: tuple[float, float, float, float]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    view, everything = around(noise, 320, box), whole(noise, 320)
    assert view.scale == everything.scale
    assert view.left % (2 * INPUT_MULTIPLE) == 0, "in step with the anchors"
    assert view.top % (2 * INPUT_MULTIPLE) == 0
    assert np.array_equal(view.of(noise), noise[view.top :, view.left :][: 2 * view.height, : 2 * view.width])


def test_a_box_without_numbers_is_an_error_and_no_endless_search() -> None:
    with pytest.raises(ValueError, match="NaN"):
        around(np.zeros((480, 640, 3), dtype=np.uint8), 320, (10.0, 10.0, float("nan"), 50.0))
