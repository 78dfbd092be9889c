"""Bundles that declare an older encoder, with the proof or with a forged one. Around the toy encoders of makers.py."""

from __future__ import annotations

from firmware_config.bundle import Manifest, pack_bundle
from firmware_config.calibration import Calibration
from firmware_config.compatible import CrossCalibration, part_name
from firmware_config.keys import SigningKey
from firmware_config.messages import decode, encode
from tests.makers import bundle_parts, calibration, encoder_id, toy_onnx


def moved(before: Calibration, by: float, fnmr: float = 0.1) -> Calibration:
    """The same rates at thresholds that are `by` further out; histograms are left as they are."""
    points = [
        point.model_copy(update={"tau": point.tau + by, "fnmr": fnmr, "fnmr_low": fnmr, "fnmr_high": fnmr})
        for point in before.operating_points
    ]
    # So few pairs that the rates are read off the operating points, which were moved.
    return before.model_copy(update={"operating_points": points, "impostor_pairs": 10, "genuine_pairs": 10})


def proof(old: int = 1, new: int = 2, shift: float = 0.1, **changes: object) -> CrossCalibration:
    """Of toy encoders `old` and `new`: a stranger passes at `shift` further out as rarely as among the old one's own.
    changes: in place of its values, unchecked."""
    old_one = moved(calibration(), 0.0)
    made = CrossCalibration(
        templates=encoder_id(old), probes=encoder_id(new), old=old_one, cross=moved(old_one, shift), old_tar=0.8
    )
    return made.model_copy(update=changes)


def compatible_parts(version: str = "2.0.0", old: int = 1, new: int = 2, shift: float = 0.1) -> dict[str, bytes]:
    """A bundle around toy encoder `new` that declares `old` and proves it."""
    parts = bundle_parts(version, toy_onnx(new))
    manifest = decode(Manifest, parts["manifest.json"], "manifest.json")
    declared = manifest.model_copy(update={"compatible_with": [encoder_id(old)]})
    return {
        **parts,
        "manifest.json": encode(declared),
        part_name(encoder_id(old)): encode(proof(old, new, shift)),
    }


def compatible_bundle(
    key: SigningKey | None, version: str = "2.0.0", old: int = 1, new: int = 2, shift: float = 0.1
) -> bytes:
    """compatible_parts, signed."""
    return pack_bundle(compatible_parts(version, old, new, shift), key)
