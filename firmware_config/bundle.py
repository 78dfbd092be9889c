"""The encoder bundle: one signed file with all that a door needs to trust, test and tune an encoder.

A zip without compression (so its size is known before it is read), written byte for byte the same from the same
parts. The shape of the signature, digests first and then one signature over them, is python-tuf's.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from firmware_config.calibration import Calibration
from firmware_config.compatible import MOST_OLDER, PART, CrossCalibration, read_proofs
from firmware_config.errors import BadInput
from firmware_config.face import CROP_SIZE, EMBEDDING_SIZE, FloatArray, ImageArray
from firmware_config.keys import SIGNATURE_BYTES, SignatureRefused, SigningKey, VerifyKey
from firmware_config.messages import Hex64, Message, MessageRefused, decode
from firmware_config.plainzip import ZIP_FAULTS, open_plain_zip

MAX_BUNDLE_BYTES: Final = 64 * 1024 * 1024
"""Fifty times the size an encoder for a small board may have."""
BUNDLE_CONTEXT: Final = b"latchkey-bundle-1\n"
REQUIRED: Final = ("manifest.json", "encoder.onnx", "calibration.json", "golden.npz", "MODEL_CARD.md")
QUALITY: Final = "quality.onnx"
HALF: Final = "encoder-fp16.onnx"
OPTIONAL: Final = (QUALITY, HALF)
SIGNATURE: Final = "signature"
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"
ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
MAX_GOLDEN: Final = 64
GOLDEN_FILES: Final = ("inputs.npy", "outputs.npy")
NPY_HEAD: Final = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(\|u1|<f4)', 'fortran_order': False, "
    rb"'shape': \(([0-9]{1,4}(?:, [0-9]{1,4})*)\), \} *\n",
    re.DOTALL,
)
"""What numpy writes before an array (NEP 1, format 1.0)."""


class BundleRefused(BadInput):
    """A bundle that is not taken. `reason` is a code, published by the door; the text is for a person."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Manifest(Message):
    """manifest.json."""

    format: int = Field(default=1, ge=1, le=1)
    name: str = Field(pattern=NAME_PATTERN)
    version: str = Field(pattern=r"^\d{1,5}\.\d{1,5}\.\d{1,5}$")
    encoder_id: str = Field(pattern=r"^[0-9a-f]{64}$")
    """sha256 of encoder.onnx."""
    created: datetime
    trained_on: list[str]
    licence: str
    training: dict[str, Any] = Field(default_factory=dict)
    """Resolved configuration, seed, data fingerprint and code version."""
    half_off: float = Field(default=0.0, ge=0.0, le=0.2)
    """The furthest that one number of the fp16 variant is from the golden outputs, which are int8's."""
    compatible_with: list[Hex64] = Field(default_factory=list, max_length=MOST_OLDER)
    """encoder_id of each older encoder whose templates this one's probes may be compared with. Each has its proof in
    the bundle (firmware_config/compatible.py)."""

    @property
    def version_key(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))


@dataclass(frozen=True)
class Golden:
    """inputs uint8[K, 112, 112, 3] RGB (synthetic, no faces), outputs float32[K, 128]: the door's self-test."""

    inputs: ImageArray
    outputs: FloatArray


@dataclass(frozen=True)
class Bundle:
    """A bundle, read and checked."""

    manifest: Manifest
    onnx: bytes
    calibration: Calibration
    golden: Golden
    model_card: str
    quality: bytes | None = None
    half: bytes | None = None
    """The same network in fp16, for boards with a GPU: its probes may be compared with the templates of encoder.onnx,
    at the same thresholds (docs/adr/0016)."""
    proofs: dict[str, CrossCalibration] = field(default_factory=dict, repr=False)
    """encoder_id of an older encoder -> what proves that its templates may be compared with this one's probes."""
    digest: str = ""
    """sha256 of the whole file."""
    parts: dict[str, bytes] = field(default_factory=dict, repr=False)


def golden_bytes(golden: Golden) -> bytes:
    """-> golden.npz, stored without compression."""
    stream = io.BytesIO()
    # C order, whatever came in: the reader takes no other.
    inputs, outputs = np.ascontiguousarray(golden.inputs), np.ascontiguousarray(golden.outputs)
    np.savez(stream, inputs=inputs, outputs=outputs)
    return stream.getvalue()


def signed_text(parts: dict[str, bytes]) -> bytes:
    """What the signature covers: the sha256 and name of every part, sorted by name."""
    lines = [f"{sha256(parts[name]).hexdigest()}  {name}\n" for name in sorted(parts)]
    return BUNDLE_CONTEXT + "".join(lines).encode()


def pack_bundle(parts: dict[str, bytes], key: SigningKey | None) -> bytes:
    """parts: file name -> bytes, without the signature; key None leaves it unsigned. The same in, the same out."""
    members = dict(parts)
    if key is not None:
        members[SIGNATURE] = key.sign(signed_text(parts))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, members[name])
    return stream.getvalue()


def sign_bundle(data: bytes, key: SigningKey) -> bytes:
    """The same bundle with this key's signature in place of any other. Raises BundleRefused."""
    return pack_bundle(read_bundle(data, trusted=None).parts, key)


def read_bundle(data: bytes, trusted: Sequence[VerifyKey] | None) -> Bundle:
    """Everything is checked before anything is believed.

    trusted: one of these keys must have signed; None reads without asking who signed (to inspect or to sign).
    Raises BundleRefused with reason: too_large, not_a_bundle, bad_signature, bad_contents.
    """
    parts = _members(data)
    signature = parts.pop(SIGNATURE, b"")
    if trusted is not None:
        _verify(parts, signature, trusted)
    try:
        manifest = decode(Manifest, parts["manifest.json"], "manifest.json")
        calibration = decode(Calibration, parts["calibration.json"], "calibration.json")
        golden = _golden(parts["golden.npz"])
        card = parts["MODEL_CARD.md"].decode()
    except (MessageRefused, *ZIP_FAULTS) as error:
        raise BundleRefused("bad_contents", f"The bundle does not read: {error}") from error
    if sha256(parts["encoder.onnx"]).hexdigest() != manifest.encoder_id:
        raise BundleRefused("bad_contents", "The bundle's encoder is not the one that its manifest names.")
    try:
        proofs = read_proofs(manifest.compatible_with, manifest.encoder_id, parts)
    except BadInput as error:
        raise BundleRefused("bad_contents", str(error)) from error
    return Bundle(
        manifest=manifest,
        onnx=parts["encoder.onnx"],
        calibration=calibration,
        golden=golden,
        model_card=card,
        quality=parts.get(QUALITY),
        half=parts.get(HALF),
        proofs=proofs,
        digest=sha256(data).hexdigest(),
        parts=parts,
    )


def check_version(manifest: Manifest, highest_run: str, rollback_to: str) -> None:
    """No version lower than the door has run, unless the administrator signed for this very encoder.

    highest_run: "" or a version; rollback_to: encoder_id from the roster in force. Raises BundleRefused.
    """
    if not highest_run or manifest.encoder_id == rollback_to:
        return
    if manifest.version_key < tuple(int(part) for part in highest_run.split(".")):
        raise BundleRefused(
            "older_version",
            f"Bundle {manifest.name} {manifest.version} is older than {highest_run}, which this door has run. "
            "To go back, publish a roster that allows this encoder.",
        )


def _members(data: bytes) -> dict[str, bytes]:
    if len(data) > MAX_BUNDLE_BYTES:
        raise BundleRefused("too_large", f"The bundle has {len(data)} bytes, at most {MAX_BUNDLE_BYTES} are read.")
    known = (*REQUIRED, *OPTIONAL, SIGNATURE)
    parts: dict[str, bytes] = {}
    try:
        with open_plain_zip(data, len(known) + MOST_OLDER) as archive:
            for entry in archive.infolist():
                place = entry.filename in known or PART.fullmatch(entry.filename)
                if not place or entry.filename in parts:
                    raise BundleRefused("not_a_bundle", f"{entry.filename!r} has no place in a bundle.")
                parts[entry.filename] = archive.read(entry)
    except ZIP_FAULTS as error:
        raise BundleRefused("not_a_bundle", f"This is not a whole bundle file: {error}") from error
    missing = [name for name in REQUIRED if name not in parts]
    if missing:
        raise BundleRefused("not_a_bundle", f"The bundle lacks {', '.join(missing)}.")
    return parts


def _verify(parts: dict[str, bytes], signature: bytes, trusted: Sequence[VerifyKey]) -> None:
    text = signed_text(parts)
    for key in trusted:
        try:
            if len(signature) == SIGNATURE_BYTES:
                key.verify(signature, text)
                return
        except SignatureRefused:
            continue
    raise BundleRefused("bad_signature", "The bundle is not signed by a key that is trusted here, or was changed.")


def _golden(data: bytes) -> Golden:
    with open_plain_zip(data, len(GOLDEN_FILES)) as archive:
        inputs = _array(archive.read(GOLDEN_FILES[0]), "|u1", (CROP_SIZE, CROP_SIZE, 3))
        outputs = _array(archive.read(GOLDEN_FILES[1]), "<f4", (EMBEDDING_SIZE,))
    if len(inputs) != len(outputs):
        raise ValueError(f"golden.npz has {len(inputs)} inputs and {len(outputs)} outputs")
    return Golden(inputs, outputs)


def _array(raw: bytes, descr: str, row: tuple[int, ...]) -> npt.NDArray[Any]:
    """An .npy file of the one shape that fits. Not numpy's reader: that evaluates the header, and allocates what
    the header says, before anything can be checked."""
    head = NPY_HEAD.match(raw)
    if head is None or head[1].decode() != descr:
        raise ValueError(f"golden.npz has no array of {descr} where one is expected")
    shape = tuple(int(number) for number in head[2].split(b",") if number.strip())
    values: npt.NDArray[Any] = np.frombuffer(raw, np.dtype(descr), offset=head.end())
    if shape[1:] != row or not 0 < shape[0] <= MAX_GOLDEN or values.size != math.prod(shape):
        raise ValueError(f"golden.npz has an array of {shape} where [1 to {MAX_GOLDEN}, *{row}] is expected")
    array: npt.NDArray[Any] = values.reshape(shape).copy()
    return array
