"""Pictures as a camera sends them: a JPEG is looked at in small, and decoded whole when somebody asks."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from device.picture import END, Jpeg, Pixels, as_bgr, same
from firmware_config.errors import BadInput
from tests.pictures import Sent, as_jpeg, jpeg, view


def with_segment(file: bytes, marker: int, content: bytes) -> bytes:
    """The JPEG with something that is no picture after its first marker, as cameras write the time."""
    return file[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + file[2:]


def turned(file: bytes) -> bytes:
    """The JPEG with the note that it is to be shown turned by a quarter."""
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    return with_segment(file, 0xE1, b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + orientation + b"\0\0\0\0")


def test_a_sketch_is_the_mean_of_eight_by_eight_pixels() -> None:
    cells = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    image = cells.repeat(8, axis=0).repeat(8, axis=1)[..., None].repeat(3, axis=2)
    picture = Jpeg(jpeg(image, quality=98))
    assert picture.size == (48, 64)
    assert np.abs(picture.sketch.astype(int) - cells).max() <= 1
    assert picture.brightness == pytest.approx(image.mean(), abs=1)


def test_a_jpeg_is_decoded_as_opencv_decodes_it_once() -> None:
    file = jpeg(view(1))
    picture = Jpeg(file)
    assert np.array_equal(picture.image, np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)))
    assert picture.image is picture.image


def test_a_camera_hangs_as_it_hangs_whatever_its_exif_says() -> None:
    picture = Jpeg(turned(jpeg(view(1))))
    assert cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR).shape == (64, 48, 3)
    assert picture.image.shape == (48, 64, 3)
    assert picture.sketch.shape == (6, 8)


def test_a_grey_jpeg_is_bgr() -> None:
    assert Jpeg(jpeg(view(1)[..., 0].copy())).image.shape == (48, 64, 3)


@pytest.mark.parametrize(
    "torn",
    [
        b"",
        b"\xff\xd8",
        b"no picture at all",
        jpeg(view(1))[:-2],
        jpeg(view(1))[:400],
        jpeg(view(1))[2:],
        b"\xff\xd8\xff\xda" + END,
    ],
    ids=["nothing", "a beginning", "text", "no end", "half", "no beginning", "no content"],
)
def test_what_is_no_whole_jpeg_is_refused(torn: bytes) -> None:
    with pytest.raises(BadInput, match="JPEG"):
        Jpeg(torn)


def test_a_thumbnails_end_is_not_the_pictures() -> None:
    small = jpeg(view(2)[:16, :16].copy())
    whole = with_segment(jpeg(view(1)), 0xE2, small)
    assert Jpeg(whole).image.shape == (48, 64, 3)
    with pytest.raises(BadInput, match="torn"):
        Jpeg(whole[:-40])


def test_a_jpeg_that_claims_to_be_huge_is_refused_before_it_is_decoded() -> None:
    file = bytearray(jpeg(view(1)))
    sides = file.index(b"\xff\xc0") + 5
    file[sides : sides + 4] = struct.pack(">HH", 20_000, 20_000)
    with pytest.raises(BadInput, match="20000x20000 pixels"):
        Jpeg(bytes(file))


def test_a_drivers_padding_is_no_tear() -> None:
    assert Jpeg(jpeg(view(1)) + bytes(64)).size == (48, 64)


def test_one_picture_with_another_time_written_into_it_is_the_same_picture() -> None:
    file = jpeg(view(1))
    early, late = (Jpeg(with_segment(file, 0xFE, clock)) for clock in (b"12:00:00", b"12:00:01"))
    assert early.data != late.data
    assert same(early, late)


def one_pixel_off(image: np.ndarray) -> np.ndarray:
    changed = image.copy()
    changed[1, 1] ^= 0x40
    return changed


@pytest.mark.parametrize("sent", [Pixels, as_jpeg], ids=["pixels", "jpeg"])
def test_pictures_differ_by_a_pixel(sent: Sent) -> None:
    image = view(1)
    assert same(sent(image), sent(image.copy()))
    assert not same(sent(image), sent(one_pixel_off(image)))
    assert not same(sent(image), sent(image[:40].copy()))


@pytest.mark.parametrize("sent", [Pixels, as_jpeg], ids=["pixels", "jpeg"])
def test_a_room_in_red_light_is_not_black(sent: Sent) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 120
    assert sent(red).brightness > 20
    assert sent(np.full((48, 64, 3), 2, np.uint8)).brightness < 4


def test_pixels_of_any_kind_become_bgr() -> None:
    grey, with_alpha = view(1)[..., 0], np.zeros((48, 64, 4), np.uint8)
    assert all(as_bgr(image).shape == (48, 64, 3) for image in (grey, grey[..., None], view(1), with_alpha))
