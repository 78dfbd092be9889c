"""The bundle: the same in, the same out; all of it signed; nothing believed before it is checked."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_config.bundle import (
    MAX_BUNDLE_BYTES,
    Bundle,
    BundleRefused,
    Golden,
    check_version,
    golden_bytes,
    pack_bundle,
    read_bundle,
    sign_bundle,
)
from firmware_config.errors import BadInput
from firmware_config.keys import SigningKey
from tests.makers import bundle_parts, calibration

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(32))
PARTS = bundle_parts("1.2.3")
GOOD = pack_bundle(PARTS, KEY)


def reason(data: bytes, trusted: list[SigningKey] | None = None) -> str:
    keys = [key.public for key in ([KEY] if trusted is None else trusted)]
    with pytest.raises(BundleRefused) as caught:
        read_bundle(data, keys)
    assert str(caught.value)
    return caught.value.reason


def test_what_is_packed_is_read() -> None:
    bundle = read_bundle(GOOD, [OTHER.public, KEY.public])
    assert bundle.manifest.version_key == (1, 2, 3)
    assert bundle.onnx == PARTS["encoder.onnx"]
    assert bundle.golden.inputs.shape == (3, 112, 112, 3)
    assert bundle.calibration == calibration()
    assert bundle.quality is None
    assert read_bundle(pack_bundle({**PARTS, "quality.onnx": b"q"}, KEY), [KEY.public]).quality == b"q"


def test_the_same_parts_give_the_same_bytes() -> None:
    assert pack_bundle(dict(reversed(PARTS.items())), KEY) == GOOD


def test_signing_anew_changes_who_vouches_and_nothing_else() -> None:
    signed = sign_bundle(GOOD, OTHER)
    assert read_bundle(signed, [OTHER.public]).parts == PARTS
    assert reason(signed) == "bad_signature"
    assert sign_bundle(signed, KEY) == GOOD


def test_nobody_trusted_means_nobody_passes() -> None:
    assert reason(GOOD, []) == "bad_signature"
    assert reason(pack_bundle(PARTS, None)) == "bad_signature"
    assert read_bundle(pack_bundle(PARTS, None), None).parts == PARTS


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_part_is_covered_by_the_signature(name: str) -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    members[name] += b" "
    assert reason(pack_bundle(members, None)) == "bad_signature"


def test_the_signature_is_not_good_for_another_purpose() -> None:
    text = pack_bundle(PARTS, None)
    with zipfile.ZipFile(io.BytesIO(text)) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    assert reason(pack_bundle({**members, "signature": KEY.sign(text)}, None)) == "bad_signature"


@settings(max_examples=300)
@given(st.data())
def test_any_changed_byte_is_refused_or_harmless(data: st.DataObject) -> None:
    changed = bytearray(GOOD)
    # The directory at the end is where a zip is fragile; the golden images in the middle are many and alike.
    at = data.draw(st.one_of(st.integers(0, 4000), st.integers(len(GOOD) - 1000, len(GOOD) - 1)))
    changed[at] = data.draw(st.integers(0, 255))
    try:
        bundle = read_bundle(bytes(changed), [KEY.public])
    except BundleRefused:
        return
    assert bundle.parts == PARTS


@settings(max_examples=300)
@given(st.data())
def test_an_unsigned_reading_of_damage_raises_nothing_else(data: st.DataObject) -> None:
    parts = dict(PARTS)
    name = data.draw(st.sampled_from(sorted(parts)))
    part = bytearray(parts[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(part) - 1, 700)))
        part[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del part[data.draw(st.integers(0, len(part))) :]
    parts[name] = bytes(part)
    try:
        bundle: Bundle = read_bundle(pack_bundle(parts, None), None)
    except BadInput:
        return
    assert bundle.golden.inputs.dtype == np.uint8
    assert bundle.golden.outputs.shape == (len(bundle.golden.inputs), 128)


@given(st.binary(max_size=400))
def test_noise_is_no_bundle(noise: bytes) -> None:
    assert reason(noise) == "not_a_bundle"
    assert reason(b"PK\x03\x04" + noise) == "not_a_bundle"


@given(st.integers(0, len(GOOD) - 1))
def test_a_truncated_bundle_is_refused(length: int) -> None:
    assert reason(GOOD[:length]) == "not_a_bundle"


def test_a_zip_bomb_is_not_unpacked() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("encoder.onnx", bytes(10**7))
    assert reason(stream.getvalue()) == "not_a_bundle"
    squeezed = io.BytesIO()
    np.savez_compressed(squeezed, inputs=np.zeros((64, 112, 112, 3), np.uint8), outputs=np.zeros((64, 128), np.float32))
    assert reason(pack_bundle({**PARTS, "golden.npz": squeezed.getvalue()}, KEY)) == "bad_contents"


def test_what_is_too_large_is_not_opened() -> None:
    assert reason(bytes(MAX_BUNDLE_BYTES + 1)) == "too_large"


def test_a_member_twice_is_refused() -> None:
    stream = io.BytesIO(GOOD)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("encoder.onnx", b"another")
    assert reason(stream.getvalue()) == "not_a_bundle"


def huge_shape() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("inputs.npy", "outputs.npy"):
            header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776, 112, 112, 3), }"
            header += b" " * (117 - len(header)) + b"\n"
            archive.writestr(name, b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return stream.getvalue()


def pickled() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, inputs=np.array([{}], dtype=object), outputs=np.zeros((1, 128), np.float32))
    return stream.getvalue()


CROPS = np.zeros((2, 112, 112, 3), np.uint8)
GOLDENS = {
    "empty": b"",
    "of a huge shape": huge_shape(),
    "pickled": pickled(),
    "of no pairs": golden_bytes(Golden(CROPS[:0], np.zeros((0, 128), np.float32))),
    "of too many": golden_bytes(Golden(np.repeat(CROPS, 33, 0), np.zeros((66, 128), np.float32))),
    "of another count": golden_bytes(Golden(CROPS, np.zeros((3, 128), np.float32))),
    "of floats": golden_bytes(Golden(CROPS.astype(np.float32), np.zeros((2, 128), np.float32))),  # type: ignore[arg-type]
    "of scalars": golden_bytes(Golden(np.uint8(0), np.float32(0))),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_pairs_that_do_not_fit_are_refused(name: str) -> None:
    assert reason(pack_bundle({**PARTS, "golden.npz": GOLDENS[name]}, KEY)) == "bad_contents"


@pytest.mark.parametrize("version", ["1", "1.2", "1.2.3.4", "1.2.x", "v1.2.3", "1.2.3\n", "-1.0.0", "1.2.999999"])
def test_a_version_is_three_numbers(version: str) -> None:
    manifest = PARTS["manifest.json"].replace(b'"1.2.3"', version.join('""').replace("\n", "\\n").encode())
    assert reason(pack_bundle({**PARTS, "manifest.json": manifest}, KEY)) == "bad_contents"


def test_versions_are_compared_as_numbers() -> None:
    manifest = read_bundle(GOOD, None).manifest
    for highest in ("", "1.2.3", "1.2.2", "0.99.99"):
        check_version(manifest, highest, "")
    for highest in ("1.2.4", "1.10.0", "2.0.0"):
        with pytest.raises(BundleRefused) as caught:
            check_version(manifest, highest, "f" * 64)
        assert caught.value.reason == "older_version"
        check_version(manifest, highest, manifest.encoder_id)
