"""From the bytes of a photo to a template, or to a sentence that says why not. No store, no page in here."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from PIL import ExifTags, Image, WebPImagePlugin

from admin_ui.eyes import FROM_AFAR_PX, Eyes
from admin_ui.sentences import in_a_photo
from admin_ui.views import Glance, Verdict
from device.detect import Face
from device.quality import DOOR_GATE, told
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray, Reason, distance

MAX_PHOTO_BYTES: Final = 32 * 2**20
"""A 40-megapixel JPEG of the best quality has some 25 MB."""
MAX_PHOTO_PIXELS: Final = 40_000_000
"""Above what cameras of telephones give by default (12 to 24 megapixels, some 50). 40 megapixels are 120 MB of
memory once decoded; a file of a few kB can claim any number, so it is asked before decoding."""
MIN_SIDE_PX: Final = 64
"""Below this no face has the pixels that the quality gate asks for."""
WORK_SIDE_PX: Final = 1600
"""Photos are brought down to this: a face that fills a tenth of it still has 160 pixels."""
FORMATS: Final = ("JPEG", "PNG", "BMP", "PPM", WebPImagePlugin.WebPImageFile.format)
"""What is decoded at all: each decoder that is not needed is one less to attack. Pillow knows a format once its
plugin is loaded; WebP's is not among those that it loads first."""
DECODER_FAULTS: Final = (
    OSError,  # UnidentifiedImageError among them
    ValueError,
    SyntaxError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for one damage or another, in the picture or in what is noted beside it."""
TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation -> what makes the picture upright. Every other value: it is."""
CROWD_WIDTH_RATIO: Final = 0.4
"""A second face at least this wide, measured by the first, is a second person and not somebody far behind."""

GLANCE_PX: Final = (320,)
"""Long side, pixels, that a picture of the webcam is looked at: 2 ms, and whoever sits at a desk is near."""
MOST_SHRUNK: Final = 4.0
"""Nobody's webcam takes more than 2,560 pixels where the picture has 640; what a browser claims beyond that is not
believed."""

DECODED_AT_ONCE: Final = 2
"""A WebP of 40 megapixels takes up to 0.9 GB while it is decoded; the page's machine may be small. Others wait."""

_decoding: Final = threading.BoundedSemaphore(DECODED_AT_ONCE)

NOT_AN_IMAGE: Final = (
    "This file is not an image that can be read. Choose a photo in JPEG, PNG or WebP format "
    "(an iPhone's HEIC photo has to be exported as JPEG first)."
)

NOBODY: Final = "No face to be seen. Look into the camera."
CROWD: Final = "There is more than one face. Let this person sit before the camera alone."
LIVE: Final = {
    Reason.TOO_DARK: "Too dark. Turn towards a window or a lamp.",
    Reason.TOO_BRIGHT: "Too bright. Step out of direct light.",
    Reason.BLURRED: "Blurred. Hold still, or clean the lens.",
    Reason.TOO_SMALL: "Too far away. Come closer.",
    Reason.TURNED_AWAY: "Turned away. Look straight into the camera.",
    Reason.POOR_PICTURE: "The picture is too poor. Come closer, into better light.",
}
"""What to do now, while the camera looks: shorter than about a photo that was taken."""


@dataclass(frozen=True)
class Known:
    """Somebody to compare with. vector: float32[128], unit."""

    person_id: str
    name: str
    vector: FloatArray


def read_photo(photo: bytes) -> ImageArray:
    """The bytes of an image file -> uint8[H, W, 3] BGR, upright, long side at most WORK_SIDE_PX.

    Size is judged by the header, before anything is decoded. Raises BadInput.
    """
    if not photo:
        raise BadInput("There is no photo. Take one with the camera, or choose a file.")
    if len(photo) > MAX_PHOTO_BYTES:
        raise BadInput(
            f"The photo has {len(photo) / 2**20:.0f} MB, at most {MAX_PHOTO_BYTES // 2**20} MB are read. "
            "Make it smaller and choose it again."
        )
    width, height = _webp_size(photo)
    if width * height > MAX_PHOTO_PIXELS:
        raise BadInput(_too_many_pixels(f"{width * height / 1e6:.0f}"))
    try:
        image = Image.open(io.BytesIO(photo), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own limits are above ours: 89 megapixels warn, 179 raise.
        raise BadInput(_too_many_pixels("more than 89")) from error
    except DECODER_FAULTS as error:
        raise BadInput(NOT_AN_IMAGE) from error
    with image:
        if image.width * image.height > MAX_PHOTO_PIXELS:
            raise BadInput(_too_many_pixels(f"{image.width * image.height / 1e6:.0f}"))
        if min(image.size) < MIN_SIDE_PX:
            raise BadInput(
                f"The photo has only {image.width} x {image.height} pixels. Choose one with at least "
                f"{MIN_SIDE_PX} on each side."
            )
        with _decoding:
            return _upright(image)


def _webp_size(photo: bytes) -> tuple[int, int]:
    """Width and height by a WebP's header (RFC 9649, section 2); 0 and 0: it is none. Pillow asks for the memory of
    the whole canvas, 2 GB for 40 bytes, before it tells them."""
    head = photo[20:30]
    if photo[:4] != b"RIFF" or photo[8:12] != b"WEBP":
        return 0, 0
    if photo[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if photo[12:16] == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF


def _upright(image: Image.Image) -> ImageArray:
    try:
        # A JPEG is decoded at a half, a quarter or an eighth where that is enough.
        image.draft("RGB", (WORK_SIDE_PX, WORK_SIDE_PX))
        image.load()
        turn = _turn(image)
        turned = (image if turn is None else image.transpose(turn)).convert("RGB")
        turned.thumbnail((WORK_SIDE_PX, WORK_SIDE_PX))
    except DECODER_FAULTS as error:
        raise BadInput("The photo breaks off or is damaged. Copy the file again, or take another photo.") from error
    return np.asarray(cv2.cvtColor(np.asarray(turned), cv2.COLOR_RGB2BGR), dtype=np.uint8)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What makes it upright, by the camera's note. Pillow's exif_transpose writes all notes anew besides, and fails on
    odd ones."""
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODER_FAULTS:
        return None  # the notes are damaged and the picture is not: it is taken as it lies


def _too_many_pixels(megapixels: str) -> str:
    limit = MAX_PHOTO_PIXELS // 1_000_000
    return (
        f"The photo has {megapixels} megapixels, at most {limit} are read. Make it smaller, or take it with the "
        "camera's usual setting."
    )


def examine(photo: bytes, eyes: Eyes) -> Verdict:
    """Look at a photo before enrolling. Never raises for a bad photo: the verdict says what is wrong.

    photo: bytes of an image file. The rules, in this order: readable, not too large, one face (one that is much
    smaller than the first is somebody in the background), good enough for the door's own quality gate.
    """
    try:
        image = read_photo(photo)
    except BadInput as error:
        return Verdict(ok=False, sentences=(str(error),))
    faces = eyes.faces(image)
    if not faces:
        return Verdict(False, (_why_no_face(image, eyes),), upright=image)
    first = faces[0]
    others = sum(face.box[2] >= CROWD_WIDTH_RATIO * first.box[2] for face in faces[1:])
    if others:
        crowd = f"There are {others + 1} faces in this photo. Choose one with this person alone, or cut the others off."
        return Verdict(False, (crowd,), box=first.box, upright=image, landmarks=first.landmarks)
    seen = eyes.see(image, first)
    reason = seen.quality.reason
    return Verdict(
        ok=reason is None,
        sentences=("One face, good to enrol.",) if reason is None else (in_a_photo(reason),),
        box=first.box,
        crop=seen.crop,
        embedding=seen.embedding,
        values=told(seen.quality.values),
        upright=image,
        landmarks=first.landmarks,
    )


def glance(photo: bytes, eyes: Eyes, full_width: int = 0) -> Glance:
    """Look at a small picture of a webcam that is on. full_width: pixels, of the photo that it would take; 0: the same.

    The rules are those of examine, as far as a small picture shows them. Raises BadInput for what is no image."""
    image = read_photo(photo)
    height, width = image.shape[:2]
    faces = eyes.faces(image, GLANCE_PX)
    if not faces:
        dark = float(image.mean()) < DOOR_GATE.min_luma
        return Glance(width, height, good=False, sentence=LIVE[Reason.TOO_DARK] if dark else NOBODY)
    first = faces[0]
    told: str | None = None
    if sum(face.box[2] >= CROWD_WIDTH_RATIO * first.box[2] for face in faces) > 1:
        told = CROWD
    else:
        told = _why_not(image, first, eyes, min(max(full_width / width, 1.0), MOST_SHRUNK))
    return Glance(width, height, told is None, told or "Good to enrol: take the photo.", first.box, first.landmarks)


def _why_not(image: ImageArray, face: Face, eyes: Eyes, shrunk: float) -> str | None:
    """None: good. shrunk: how many times larger the photo would be."""
    eyes_px = float(np.hypot(*(face.landmarks[1] - face.landmarks[0])))
    # A face that is too small only in the small picture looks blurred in it and is not.
    small = eyes_px < DOOR_GATE.min_eye_distance_px <= eyes_px * shrunk
    gate = replace(DOOR_GATE, min_eye_distance_px=0.0, min_sharpness=0.0) if small else DOOR_GATE
    reason = eyes.judge(image, face, gate, ranked=not small).reason
    return LIVE.get(reason, in_a_photo(reason)) if reason is not None else None


def _why_no_face(image: ImageArray, eyes: Eyes) -> str:
    """A blurred or dark face is better called so than "no face"."""
    vague = eyes.faces(image, FROM_AFAR_PX)
    if not vague:
        return "There is no face to be seen in this photo. Take one of the head from the front, sharp and well lit."
    return in_a_photo(eyes.see(image, vague[0]).quality.reason or Reason.BLURRED)


def nearest(embedding: FloatArray, known: Sequence[Known]) -> tuple[Known, float] | None:
    """Who looks most like this, and the distance, 0 to 2. embedding: float32[128]. None where nobody is known."""
    if not known:
        return None
    distances = distance(np.stack([one.vector for one in known]), embedding)
    best = int(np.argmin(distances))
    return known[best], float(distances[best])


def crop_png(crop: ImageArray) -> bytes:
    """uint8[112, 112, 3] RGB -> PNG, without loss: a later encoder sees what this one saw. 15 kB in 6 ms; Pillow's
    `optimize` takes twice as long and saves nothing."""
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, format="PNG")
    return stream.getvalue()


def crop_array(png: bytes) -> ImageArray:
    """The inverse of crop_png."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)
