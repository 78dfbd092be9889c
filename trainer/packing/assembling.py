"""An encoder, however it was made, -> an unsigned bundle: calibrated, with its golden outputs and its model card."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from device.embed import Encoder
from firmware_config.bundle import HALF, QUALITY, Golden, Manifest, golden_bytes, pack_bundle
from firmware_config.compatible import part_name
from firmware_config.errors import BadInput
from trainer import data, export
from trainer.measuring.calibrate import calibrate
from trainer.measuring.trial import embed_all
from trainer.packing.card import model_card
from trainer.packing.compatible import Earlier, prove
from trainer.packing.half import check_half, half_of


@dataclass(frozen=True)
class Made:
    """onnx: what the door runs. full: the same in float32."""

    onnx: bytes
    full: bytes


@dataclass(frozen=True)
class Origin:
    """What a manifest says of where an encoder comes from; its fields."""

    name: str
    version: str
    trained_on: list[str]
    licence: str
    training: dict[str, Any]


def source_of(calibrating: data.Faces, named: int, whose: str) -> str:
    """Who calibrates, for the calibration. named: labels before they were mended. whose: whether they were trained on,
    and on what terms they are used."""
    several = int((np.bincount(calibrating.identities) >= 2).sum())
    note = f"; {named} labels, of which some are one person by what the teachers say" * (calibrating.people < named)
    return (
        f"{len(calibrating)} crops of {calibrating.people} identities, {several} of them with two or more images, "
        f"{whose}; keys' sha256 {calibrating.fingerprint()[: data.KEYS_SHOWN]}{note}"
    )


def manifest_bytes(manifest: Manifest) -> bytes:
    """manifest.json. Raises BadInput for one that is larger than what doors read."""
    written = manifest.model_dump_json().encode()
    if len(written) > Manifest.max_bytes:
        raise BadInput(
            f"With all of these --results the manifest has {len(written):,} bytes, and a door reads "
            f"{Manifest.max_bytes:,}: leave one of them out."
        )
    return written


def assemble(
    made: Made,
    calibrating: data.Faces,
    source: str,
    origin: Origin,
    say: Callable[[str], None],
    quality: bytes | None = None,
    older: Sequence[Earlier] = (),
    half: bool = False,
) -> bytes:
    """calibrating: people with their labels mended; source: who they are.
    older: encoders that the bundle shall declare to be compatible with. half: bring the encoder in fp16 too.

    Raises BadState when it is not compatible with an older one, or fp16 would need other thresholds; BadInput as
    `manifest_bytes`.
    """
    encoder = Encoder(made.onnx, threads=2)
    calibration = calibrate(embed_all(encoder.embed, calibrating.centre()), calibrating.identities, source)
    if calibration.doubt:
        say(calibration.doubt)
    # One crop at a time, as the door will: a batch may round differently in the last bit.
    inputs = export.golden_inputs()
    golden = Golden(inputs, np.concatenate([encoder.embed(each[None]) for each in inputs]))
    variant = half_of(made.full) if half else None
    off = 0.0
    if variant is not None:
        off = check_half(Encoder(variant, threads=2), encoder, golden, calibrating, calibration, say)
    proofs = [prove(each, encoder, calibrating, source, say) for each in older]
    manifest = Manifest(
        name=origin.name,
        version=origin.version,
        encoder_id=sha256(made.onnx).hexdigest(),
        created=datetime.now(timezone.utc).replace(microsecond=0),
        trained_on=origin.trained_on,
        licence=origin.licence,
        training=origin.training | {"torch": torch.__version__, "python": platform.python_version()},
        half_off=off,
        compatible_with=[proof.templates for proof in proofs],
    )
    parts = {
        "manifest.json": manifest_bytes(manifest),
        "encoder.onnx": made.onnx,
        "calibration.json": calibration.model_dump_json().encode(),
        "golden.npz": golden_bytes(golden),
        "MODEL_CARD.md": model_card(manifest, calibration, proofs).encode(),
        **{part_name(proof.templates): proof.model_dump_json().encode() for proof in proofs},
    }
    if quality is not None:
        parts[QUALITY] = quality
    if variant is not None:
        parts[HALF] = variant
    return pack_bundle(parts, None)
