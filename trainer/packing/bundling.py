"""Checkpoint -> bundle: export, quantise, calibrate on people never trained on, write the model card."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, Final

import numpy as np

from device.embed import Encoder
from firmware_config.bundle import NAME_PATTERN, QUALITY, Bundle, pack_bundle, read_bundle
from firmware_config.errors import BadInput
from trainer import data, export
from trainer.loop.trained import Trained
from trainer.measuring.metrics import equal_error_rate, pair_table, true_accept_rate
from trainer.measuring.trial import embed_all
from trainer.packing import gate
from trainer.packing.assembling import Made, Origin, assemble, manifest_bytes, source_of
from trainer.packing.card import model_card
from trainer.packing.compatible import Earlier, check_older
from trainer.packing.refit import refit
from trainer.terms import licence, sources, terms

RANGE_CROPS: Final = 512
"""Training crops that set the ranges of int8 activations; more change them by less than a rounding."""

REFIT_CROPS: Final = 4096
"""Training crops on which the last layer learns to undo what int8 does: 32 for each of its 128 numbers."""


def scores(encoder: Encoder, faces: data.Faces) -> dict[str, float]:
    """EER and TAR at FMR 1e-2 and 1e-3 over all pairs, through the door's code. Raises BadInput for less than two
    people."""
    if faces.people < 2:
        raise BadInput(f"There are {faces.people} people to validate with, and two are a pair: set validation_people.")
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

    same = [Earlier(bundle, bundle.manifest.training.get("images") == trained.images) for bundle in older]
    return assemble(
        Made(onnx, full),
        calibrating,
        source_of(calibrating, faces.take(split.calibration).people, f"none trained on ({terms(trained.config)})"),
        Origin(
            name,
            version,
            sources(trained.config, trained.inherited),
            licence(trained.config, trained.inherited),
            {
                "config": trained.config.model_dump(mode="json"),
                "step": trained.step,
                "mirrored": mirrored,
                "images": trained.images,
                "code": trained.code,
                "validation": kept,
                "results": results,
            },
        ),
        say,
        quality,
        same,
        half,
    )


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
        "manifest.json": manifest_bytes(manifest),
        QUALITY: quality,
        "MODEL_CARD.md": model_card(manifest, before.calibration, list(before.proofs.values())).encode(),
    }
    return pack_bundle(parts, None)


def check_label(name: str, version: str) -> None:
    """What a manifest would refuse is said before anything is exported. Raises BadInput."""
    version_key(version)
    if not re.fullmatch(NAME_PATTERN, name):
        raise BadInput(
            f"A bundle's --name is lower-case letters, digits and . _ - after one of the first; not {name!r}."
        )


def version_key(version: str) -> tuple[int, ...]:
    """ "0.3.0" -> (0, 3, 0). Raises BadInput."""
    numbers = version.split(".")
    if len(numbers) != 3 or not all(number.isdecimal() and len(number) <= 5 for number in numbers):
        raise BadInput(f"A version is three numbers, as 0.3.0; not {version!r}.")
    return tuple(int(number) for number in numbers)
