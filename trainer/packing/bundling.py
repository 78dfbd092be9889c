"""Checkpoint -> bundle: export, quantise, calibrate on people never trained on, write the model card."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any, Final

import numpy as np
import torch

from device.embed import Encoder
from firmware_config.bundle import HALF, QUALITY, Bundle, Golden, Manifest, golden_bytes, pack_bundle, read_bundle
from firmware_config.compatible import part_name
from firmware_config.errors import BadInput
from trainer import data, export
from trainer.loop.trained import Trained
from trainer.measuring.calibrate import calibrate
from trainer.measuring.metrics import equal_error_rate, pair_table, true_accept_rate
from trainer.measuring.trial import embed_all
from trainer.packing import gate
from trainer.packing.card import model_card
from trainer.packing.compatible import Earlier, check_older, prove
from trainer.packing.half import check_half, half_of
from trainer.packing.refit import refit
from trainer.terms import licence, sources, terms

RANGE_CROPS: Final = 512
"""Training crops that set the ranges of int8 activations; more change them by less than a rounding."""

REFIT_CROPS: Final = 4096
"""Training crops on which the last layer learns to undo what int8 does: 32 for each of its 128 numbers."""


def scores(encoder: Encoder, faces: data.Faces) -> dict[str, float]:
    """EER and TAR at FMR 1e-2 and 1e-3 over all pairs, through the door's code."""
    table = pair_table(embed_all(encoder.embed, faces.centre()), faces.identities)
    return {
        "eer": equal_error_rate(table.genuine, table.impostor),
        "tar_1e-2": true_accept_rate(table.genuine, table.impostor, 1e-2),
        "tar_1e-3": true_accept_rate(table.genuine, table.impostor, 1e-3),
    }


def make_bundle(
    trained: Trained,
    faces: data.Faces,
    split: data.Split,
    name: str,
    version: str,
    results: dict[str, Any],
    say: Callable[[str], None] = print,
    mirrored: bool = False,
    quality: bytes | None = None,
    mend: Callable[[data.Faces], data.Faces] = lambda faces: faces,
    older: Sequence[Bundle] = (),
    half: bool = False,
) -> bytes:
    """-> an unsigned bundle.

    faces, split: those of the run, unnamed images not needed. results: evaluations, for the model card. mirrored:
    the encoder looks at each crop and at its mirror image. quality: a quality.onnx to go with it. mend: puts labels
    right before anything is measured by them. older: encoders that the bundle shall declare to be compatible with, if
    they prove to be. half: bring the encoder in fp16 too, for boards with a GPU.

    Raises BadInput for the tutorial's network, which is no door's encoder, BadState when int8 loses too much, the
    encoder is not compatible with an older one, or fp16 would need other thresholds.
    """
    if trained.config.network.kind == "tutorial":
        raise BadInput("The tutorial's network gives 5 numbers for a grey image; a door's encoder gives 128.")
    check_older(older)
    random = np.random.default_rng(trained.config.seed)
    chosen = random.choice(split.train, min(REFIT_CROPS, len(split.train)), replace=False)
    crops = np.ascontiguousarray(faces.centre()[np.sort(chosen)])
    ranges = np.ascontiguousarray(crops[:: max(1, len(crops) // RANGE_CROPS)][:RANGE_CROPS])
    inputs = export.golden_inputs()
    full = export.to_onnx(trained.network, mirrored)
    onnx = export.quantise(export.to_onnx(refit(trained.network, ranges, crops), mirrored), ranges)
    encoder = Encoder(onnx, threads=2)
    say(f"exported: {len(full)} bytes in float32, {len(onnx)} in int8")
    plain = Encoder(full, threads=2)
    gate.check_export(export.torch_rows(trained.network, inputs, mirrored), plain.embed(inputs))

    validation, calibrating = mend(faces.take(split.validation)), mend(faces.take(split.calibration))
    kept = {"float32": scores(plain, validation), "int8": scores(encoder, validation)}
    say(f"validation: {json.dumps(kept)}")
    # More people carry a fifth of a point better: those who calibrate were not trained on either.
    held_out = data.join(validation, calibrating)
    tables = [gate.pairs_of(each.embed, held_out) for each in (plain, encoder)]
    tars = [gate.tar_of(table) for table in tables]
    say(
        f"int8 gate: TAR at FMR 1e-3 {tars[0]:.4f} in float32, {tars[1]:.4f} in int8, {held_out.people} people, "
        f"{len(tables[0].genuine)} genuine pairs"
    )
    gate.check_int8(*tars)

    named = faces.take(split.calibration).people
    note = f"; {named} labels, of which some are one person by what the teachers say" * (calibrating.people < named)
    several = int((np.bincount(calibrating.identities) >= 2).sum())
    calibration = calibrate(
        embed_all(encoder.embed, calibrating.centre()),
        calibrating.identities,
        f"{len(calibrating)} crops of {calibrating.people} identities, {several} of them with two or more images, none "
        f"trained on ({terms(trained.config)}); keys' sha256 {calibrating.fingerprint()[:16]}{note}",
    )
    if calibration.doubt:
        say(calibration.doubt)
    same = [Earlier(bundle, bundle.manifest.training.get("images") == trained.images) for bundle in older]
    # One crop at a time, as the door will: a batch may round differently in the last bit.
    golden = Golden(inputs, np.concatenate([encoder.embed(each[None]) for each in inputs]))
    variant = half_of(full) if half else None
    off = 0.0
    if variant is not None:
        off = check_half(Encoder(variant, threads=2), encoder, golden, calibrating, calibration, say)
    proofs = [prove(each, encoder, calibrating, calibration.source, say) for each in same]
    manifest = Manifest(
        name=name,
        version=version,
        encoder_id=sha256(onnx).hexdigest(),
        created=datetime.now(timezone.utc).replace(microsecond=0),
        trained_on=sources(trained.config, trained.inherited),
        licence=licence(trained.config, trained.inherited),
        training={
            "config": trained.config.model_dump(mode="json"),
            "step": trained.step,
            "mirrored": mirrored,
            "images": trained.images,
            "code": trained.code,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "validation": kept,
            "results": results,
        },
        half_off=off,
        compatible_with=[proof.templates for proof in proofs],
    )
    parts = {
        "manifest.json": manifest.model_dump_json(indent=1).encode(),
        "encoder.onnx": onnx,
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


def with_quality(data: bytes, quality: bytes, found: dict[str, Any], version: str) -> bytes:
    """A bundle -> the same encoder with this quality.onnx, under a higher version, unsigned.

    found: what `measure_quality` says of it, for the manifest and the card. Raises BundleRefused, BadInput.
    """
    before = read_bundle(data, trusted=None)
    if version_key(version) <= before.manifest.version_key:
        raise BadInput(f"The bundle is {before.manifest.version} already; a door takes only a higher --version.")
    manifest = before.manifest.model_copy(
        update={
            "version": version,
            "created": datetime.now(timezone.utc).replace(microsecond=0),
            "training": before.manifest.training | {"quality": found},
        }
    )
    parts = before.parts | {
        "manifest.json": manifest.model_dump_json(indent=1).encode(),
        QUALITY: quality,
        "MODEL_CARD.md": model_card(manifest, before.calibration, list(before.proofs.values())).encode(),
    }
    return pack_bundle(parts, None)


def version_key(version: str) -> tuple[int, ...]:
    """ "0.3.0" -> (0, 3, 0). Raises BadInput."""
    numbers = version.split(".")
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise BadInput(f"A version is three numbers, as 0.3.0; not {version!r}.")
    return tuple(int(number) for number in numbers)
