"""Checkpoint -> bundle: export, quantise, calibrate on people never trained on, write the model card."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from device.embed import Encoder
from firmware_config.bundle import Golden, Manifest, golden_bytes, pack_bundle
from firmware_config.calibration import Calibration
from firmware_config.errors import BadInput, BadState
from firmware_config.face import FloatArray, ImageArray
from trainer import data, export
from trainer.calibrate import calibrate
from trainer.config import Config
from trainer.metrics import equal_error_rate, pair_table, true_accept_rate
from trainer.train import CHECKPOINT, build_network

RANGE_CROPS: Final = 512
"""Training crops that set the ranges of int8 activations; more change them by less than a rounding."""

LICENCE: Final = "Trained on CelebA: for non-commercial research only"

CELEBA: Final = "CelebA (Liu et al. 2015), non-commercial research"
FAIRFACE: Final = "FairFace (Karkkainen and Joo 2021), CC BY 4.0"


@dataclass(frozen=True)
class Trained:
    """A finished or running training's weights."""

    config: Config
    network: torch.nn.Module
    step: int
    images: str
    """Fingerprint of the training images."""


def load_trained(folder: Path) -> Trained:
    """The checkpoint in a run's folder. Raises BadInput when there is none, BadState when it does not read."""
    path = folder / CHECKPOINT
    if not path.exists():
        raise BadInput(f"There is no {CHECKPOINT} in {folder}. Train first: latchkey-trainer train CONFIG.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        config = Config.model_validate(state["config"])
        network = build_network(config)
        network.load_state_dict(state["network"])
        return Trained(config, network.eval(), int(state["step"]), str(state["images"]))
    except (KeyError, ValueError, RuntimeError, EOFError) as error:
        raise BadState(f"{path} is not a whole checkpoint of this version: {error}") from error


def sources(config: Config) -> list[str]:
    """What a run was trained on, with terms, for manifest and model card."""
    named = [CELEBA]
    if config.data.unnamed_images:
        named.append(FAIRFACE)
    named += [f"what the encoder {teacher.name} ({teacher.licence}) says of them" for teacher in config.teacher]
    return named


def embed_all(encoder: Encoder, crops: ImageArray, batch: int = 64) -> FloatArray:
    """Crops through the door's own code, a batch at a time. uint8[N, 112, 112, 3] -> float32[N, 128]."""
    return np.concatenate(
        [encoder.embed(np.ascontiguousarray(crops[i : i + batch])) for i in range(0, len(crops), batch)]
    )


def scores(encoder: Encoder, faces: data.Faces) -> dict[str, float]:
    """EER and TAR at FMR 1e-2 and 1e-3 over all pairs, through the door's code."""
    table = pair_table(embed_all(encoder, faces.centre()), faces.identities)
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
) -> bytes:
    """-> an unsigned bundle.

    faces, split: those of the run, unnamed images not needed. results: evaluations, for the model card. mirrored:
    the encoder looks at each crop and at its mirror image.

    Raises BadInput for the tutorial's network, which is no door's encoder.
    """
    if trained.config.network.kind == "tutorial":
        raise BadInput("The tutorial's network gives 5 numbers for a grey image; a door's encoder gives 128.")
    random = np.random.default_rng(trained.config.seed)
    chosen = random.choice(split.train, min(RANGE_CROPS, len(split.train)), replace=False)
    full = export.to_onnx(trained.network, mirrored)
    onnx = export.quantise(full, np.ascontiguousarray(faces.centre()[np.sort(chosen)]))
    encoder = Encoder(onnx, threads=2)
    say(f"exported: {len(full)} bytes in float32, {len(onnx)} in int8")

    validation = faces.take(split.validation)
    kept = {"float32": scores(Encoder(full, threads=2), validation), "int8": scores(encoder, validation)}
    say(f"validation: {json.dumps(kept)}")

    calibrating = faces.take(split.calibration)
    several = int((np.bincount(calibrating.identities) >= 2).sum())
    calibration = calibrate(
        embed_all(encoder, calibrating.centre()),
        calibrating.identities,
        f"{len(calibrating)} CelebA crops of {calibrating.people} identities, {several} of them with two or "
        f"more images, none trained on; keys' sha256 {calibrating.fingerprint()[:16]}",
    )
    inputs = export.golden_inputs()
    manifest = Manifest(
        name=name,
        version=version,
        encoder_id=sha256(onnx).hexdigest(),
        created=datetime.now(timezone.utc).replace(microsecond=0),
        trained_on=sources(trained.config),
        licence=LICENCE,
        training={
            "config": trained.config.model_dump(mode="json"),
            "step": trained.step,
            "mirrored": mirrored,
            "images": trained.images,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "validation": kept,
            "results": results,
        },
    )
    parts = {
        "manifest.json": manifest.model_dump_json(indent=1).encode(),
        "encoder.onnx": onnx,
        "calibration.json": calibration.model_dump_json().encode(),
        # One crop at a time, as the door will: a batch may round differently in the last bit.
        "golden.npz": golden_bytes(Golden(inputs, np.concatenate([encoder.embed(i[None]) for i in inputs]))),
        "MODEL_CARD.md": model_card(manifest, calibration, kept, results).encode(),
    }
    return pack_bundle(parts, None)


def model_card(
    manifest: Manifest, calibration: Calibration, kept: dict[str, dict[str, float]], results: dict[str, Any]
) -> str:
    """MODEL_CARD.md. Mitchell et al. 2019."""
    points = "\n".join(
        f"| {p.fmr:g} | {p.tau:.3f} ({p.tau_low:.3f} to {p.tau_high:.3f}) "
        f"| {p.fnmr:.3f} ({p.fnmr_low:.3f} to {p.fnmr_high:.3f}) | {'fitted' if p.extrapolated else 'counted'} |"
        for p in calibration.operating_points
    )
    rows = "\n".join(
        f"| {which} | {values['eer']:.4f} | {values['tar_1e-2']:.4f} | {values['tar_1e-3']:.4f} |"
        for which, values in kept.items()
    )
    evaluations = "\n".join(f"- {name}: `{json.dumps(value)}`" for name, value in sorted(results.items()))
    mirrored = " It looks at each crop and at its mirror image." if manifest.training.get("mirrored") else ""
    return f"""# {manifest.name} {manifest.version}

A face encoder for one door: uint8[N, 112, 112, 3] RGB crops -> float32[N, 128], unit length, int8 inside.{mirrored}
Encoder {manifest.encoder_id}.

## Use
Deciding whether a face at a door is one of the people enrolled for it, who agreed to be. Not for naming people
who did not agree, nor for guessing age, sex, origin or mood. It does not tell a face from a photograph of one.

## Data and terms
Trained on {"; on ".join(manifest.trained_on)}. {manifest.licence}.
Nothing of a teacher is in it: the network learned to say of these images what a teacher says of them.
CelebA shows celebrities, mostly young and light-skinned, and some of its labels are wrong. Error rates differ
between groups of people and have not been measured by group for this version.

## How often it is wrong
{calibration.method}
{calibration.source}: {calibration.genuine_pairs} genuine and {calibration.impostor_pairs} impostor pairs.

| FMR | tau (95 %) | FNMR (95 %) | |
|---|---|---|---|
{points}

On validation identities, neither trained on nor calibrated with:

| | EER | TAR at FMR 1e-2 | TAR at FMR 1e-3 |
|---|---|---|---|
{rows}

## Reported, never tuned on
{evaluations or "- none"}
"""
