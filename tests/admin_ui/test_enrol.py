"""What the office says to a photo before anybody is enrolled from it."""

import io
import struct
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from admin_ui import enrol
from admin_ui.eyes import Eyes
from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from tests.admin_ui.toys import jpeg_turned, png, toy_onnx

Photo = Callable[..., bytes]


@pytest.fixture(scope="module")
def eyes(eyes_for: Callable[[bytes], Eyes]) -> Eyes:
    return eyes_for(toy_onnx(1))


def read(data: bytes) -> ImageArray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)


def only_sentence(data: bytes, eyes: Eyes) -> str:
    verdict = enrol.examine(data, eyes)
    assert not verdict.ok
    assert len(verdict.sentences) == 1
    return verdict.sentences[0]


def test_good_photo_gives_crop_and_unit_embedding(photo: Photo, eyes: Eyes) -> None:
    verdict = enrol.examine(photo(1), eyes)
    assert verdict.ok, verdict.sentences
    assert verdict.crop is not None
    assert verdict.crop.shape == (112, 112, 3)
    assert verdict.embedding is not None
    assert np.linalg.norm(verdict.embedding) == pytest.approx(1, abs=1e-4)
    assert verdict.values["eye_distance_px"] > 24


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(40), bytes(10_000)])
def test_what_is_no_image_is_called_so(data: bytes, eyes: Eyes) -> None:
    sentence = only_sentence(data, eyes)
    assert "not an image" in sentence or "There is no photo" in sentence


def test_a_photo_cut_off_in_the_middle_is_called_damaged(photo: Photo, eyes: Eyes) -> None:
    data = photo(1)
    assert "damaged" in only_sentence(data[: len(data) // 2], eyes)


@pytest.mark.parametrize(
    ("width", "height", "says"), [(10_000, 6_000, "60 megapixels"), (60_000, 60_000, "megapixels")]
)
def test_sixty_megapixels_are_refused_by_the_header_alone(
    width: int, height: int, says: str, huge_png: Callable[[int, int], bytes], eyes: Eyes
) -> None:
    data = huge_png(width, height)
    assert len(data) < 200  # so nothing of that size can have been decoded
    sentence = only_sentence(data, eyes)
    assert says in sentence
    assert "Make it smaller" in sentence


def test_a_file_of_too_many_bytes_is_not_looked_at(eyes: Eyes) -> None:
    assert "33 MB, at most 32 MB" in only_sentence(bytes(33 * 2**20), eyes)


def test_a_picture_of_a_wall_has_no_face(eyes: Eyes) -> None:
    wall = np.full((480, 640, 3), 127, dtype=np.uint8)
    assert "no face to be seen" in only_sentence(png(wall), eyes)


def test_two_people_side_by_side_are_refused(photo: Photo, eyes: Eyes) -> None:
    both = np.concatenate([read(photo(1)), read(photo(2))], axis=1)
    assert "2 faces" in only_sentence(png(both), eyes)


def test_somebody_small_in_the_background_does_not_matter(photo: Photo, eyes: Eyes) -> None:
    first, second = read(photo(1)), read(photo(2))
    small = cv2.resize(second, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    scene = cv2.copyMakeBorder(first, 0, 0, 0, 120, cv2.BORDER_REPLICATE)
    scene[: small.shape[0], -small.shape[1] :] = small
    scene = np.asarray(scene, dtype=np.uint8)
    assert len(eyes.faces(scene)) == 2
    assert enrol.examine(png(scene), eyes).ok


def test_a_blurred_face_is_told_to_hold_still(photo: Photo, eyes: Eyes) -> None:
    blurred = np.asarray(cv2.GaussianBlur(read(photo(1)), (0, 0), 8), dtype=np.uint8)
    assert "blurred" in only_sentence(png(blurred), eyes)


def test_a_dark_face_is_told_to_find_light(photo: Photo, eyes: Eyes) -> None:
    dark = (read(photo(1)) * 0.15).astype(np.uint8)
    assert "too dark" in only_sentence(png(dark), eyes)


def test_a_face_of_a_few_pixels_is_told_to_come_closer(photo: Photo, eyes: Eyes) -> None:
    small = cv2.resize(read(photo(1)), None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    canvas = np.full((300, 400, 3), 120, dtype=np.uint8)
    canvas[80 : 80 + small.shape[0], 120 : 120 + small.shape[1]] = small
    assert "too small" in only_sentence(png(canvas), eyes)


def test_a_telephone_photo_lying_on_its_side_is_turned_by_its_exif(photo: Photo, eyes: Eyes) -> None:
    upright = enrol.examine(photo(1), eyes)
    lying = enrol.examine(jpeg_turned(photo(1)), eyes)
    assert lying.ok, lying.sentences
    assert upright.embedding is not None
    assert lying.embedding is not None
    assert np.linalg.norm(upright.embedding - lying.embedding) < 0.15


def turned_with_odd_notes(photo: bytes) -> bytes:
    """jpeg_turned, whose EXIF besides names the artist by a fraction (tag 0x013B, RATIONAL 1/2)."""
    notes = struct.pack("<HHHIHHHHIII", 2, 0x0112, 3, 1, 6, 0, 0x013B, 5, 1, 8 + 2 + 24 + 4, 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + notes + struct.pack("<II", 1, 2)
    stream = io.BytesIO()
    image = Image.open(io.BytesIO(photo)).convert("RGB").transpose(Image.Transpose.ROTATE_90)
    image.save(stream, format="JPEG", quality=97, exif=b"Exif\0\0" + tiff)
    return stream.getvalue()


def test_odd_notes_of_a_camera_do_not_spoil_its_photo(photo: Photo, eyes: Eyes) -> None:
    odd = enrol.examine(turned_with_odd_notes(photo(1)), eyes)
    assert odd.ok, odd.sentences
    assert odd.upright is not None
    np.testing.assert_array_equal(odd.upright, enrol.read_photo(jpeg_turned(photo(1))))


@pytest.mark.parametrize("orientation", range(10))
def test_every_way_to_hold_a_camera_is_turned_upright_as_pillow_does_it(orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(stream)).convert("RGB")
    np.testing.assert_array_equal(enrol.read_photo(stream.getvalue())[..., ::-1], np.asarray(upright))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12), st.sampled_from(["JPEG", "PNG"]))
def test_any_notes_beside_a_picture_are_read_or_left_alone(changes: list[tuple[int, int]], kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Camera", 72
    exif[0x8769] = {0x9003: "2026:01:01 00:00:00", 0x829A: 0.5}
    notes = bytearray(exif.tobytes())
    for place, value in changes:
        notes[6 + place % (len(notes) - 6)] = value
    stream = io.BytesIO()
    Image.new("RGB", (90, 70), "grey").save(stream, format=kind, exif=bytes(notes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert enrol.read_photo(stream.getvalue()).shape in {(70, 90, 3), (90, 70, 3)}


def test_crop_survives_its_png(photo: Photo, eyes: Eyes) -> None:
    verdict = enrol.examine(photo(3), eyes)
    assert verdict.crop is not None
    np.testing.assert_array_equal(enrol.crop_array(enrol.crop_png(verdict.crop)), verdict.crop)


def test_webp_and_jpeg_are_read(photo: Photo) -> None:
    image = Image.open(io.BytesIO(photo(1))).convert("RGB")
    for kind in ("WEBP", "JPEG", "BMP"):
        stream = io.BytesIO()
        image.save(stream, format=kind)
        assert enrol.read_photo(stream.getvalue()).shape == (image.height, image.width, 3)


def test_large_photo_comes_down_to_the_working_size() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (6000, 4000), "grey").save(stream, format="JPEG")
    assert max(enrol.read_photo(stream.getvalue()).shape) == enrol.WORK_SIDE_PX


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF....WEBP", b"P5 "]),
)
def test_any_bytes_are_read_or_refused_with_a_sentence(tail: bytes, head: bytes) -> None:
    try:
        sentence, image = "", enrol.read_photo(head + tail)
    except BadInput as refused:
        sentence, image = str(refused), None
    assert sentence.endswith((".", ").")) if image is None else image.ndim == 3


def test_many_photos_at_once_are_decoded_two_at_a_time(
    photo: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, most, lock = [0], [0], threading.Lock()
    upright = enrol._upright

    def counted(image: Image.Image) -> ImageArray:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        try:
            return upright(image)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(enrol, "_upright", counted)
    with ThreadPoolExecutor(8) as pool:
        shapes = {image.shape for image in pool.map(enrol.read_photo, [photo(1)] * 8)}
    assert len(shapes) == 1
    assert most[0] == enrol.DECODED_AT_ONCE
