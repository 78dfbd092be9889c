"""export, bundle, keygen, sign and inspect: a run -> what a door accepts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from firmware_config.errors import BadInput
from firmware_config.files import write_atomic
from trainer.commands.shared import PUBLIC, QUALITY, QUALITY_RESULT, Jobs, read, where

if TYPE_CHECKING:
    from trainer.data import Faces


def _export(args: argparse.Namespace) -> None:
    from trainer import export  # noqa: PLC0415
    from trainer.loop.trained import load_network  # noqa: PLC0415

    model = export.to_onnx(load_network(args.run), args.mirrored)
    write_atomic(args.out, model, PUBLIC)
    print(f"{args.out}: float32 encoder, {len(model)} bytes. The door takes the int8 one: see bundle.")


def _weights(args: argparse.Namespace) -> None:
    from trainer.loop.pretrained import weights_bytes  # noqa: PLC0415
    from trainer.loop.trained import load_trained  # noqa: PLC0415

    trained = load_trained(args.run)
    weights = weights_bytes(trained.config, trained.network, trained.inherited)
    write_atomic(args.out, weights, PUBLIC)
    print(f"{args.out}: weights in half precision, {len(weights)} bytes, for start = ... in a configuration.")


def _bundle(args: argparse.Namespace) -> None:
    from firmware_config.bundle import read_bundle, sign_bundle  # noqa: PLC0415
    from firmware_config.keys import SigningKey  # noqa: PLC0415
    from trainer import train  # noqa: PLC0415
    from trainer.loop.trained import load_trained  # noqa: PLC0415
    from trainer.packing import bundling  # noqa: PLC0415
    from trainer.teaching import labels, teachers  # noqa: PLC0415

    key = SigningKey.load(args.key) if args.key else None
    results = {path.stem: json.loads(read(path)) for path in args.results}
    trained = load_trained(args.run)
    # People to calibrate and validate with have names; the unnamed images would only take memory.
    named = trained.config.data.model_copy(update={"unnamed_images": 0})
    faces, split = train.load_faces(trained.config.model_copy(update={"data": named}), args.data, args.cache)
    quality = read(args.quality) if args.quality else None
    asked = [teachers.load_teacher(file, args.cache, trained.config.threads) for file in trained.config.teacher]

    def mend(held_out: Faces) -> Faces:
        if not asked:
            return held_out
        mended, doubled = labels.one_label_each(held_out, labels.teachers_rows(asked, held_out))
        for each in doubled:
            print(f"{each.first} and {each.second} are one person to the teachers (cosine {each.cosine:.2f})")
        return mended

    older = [read_bundle(read(path), trusted=None) for path in args.compatible_with]
    data = bundling.make_bundle(
        trained, faces, split, args.name, args.version, results, print, args.mirrored, quality, mend, older, args.half
    )
    write_atomic(args.out, sign_bundle(data, key) if key else data, PUBLIC)
    print(f"{args.out}: {'signed' if key else 'NOT signed, no door takes it'}.")


def _with_quality(args: argparse.Namespace) -> None:
    from firmware_config.bundle import sign_bundle  # noqa: PLC0415
    from firmware_config.keys import SigningKey  # noqa: PLC0415
    from trainer.packing import bundling  # noqa: PLC0415

    key = SigningKey.load(args.key) if args.key else None
    found = json.loads(read(args.quality / QUALITY_RESULT))
    data = bundling.with_quality(read(args.bundle), read(args.quality / QUALITY), found, args.version)
    write_atomic(args.out, sign_bundle(data, key) if key else data, PUBLIC)
    print(f"{args.out}: {args.version}, {'signed' if key else 'NOT signed, no door takes it'}.")


def _keygen(args: argparse.Namespace) -> None:
    from firmware_config.keys import SigningKey  # noqa: PLC0415

    if args.key.exists():
        raise BadInput(f"{args.key} is there already. A lost release key locks every door out: move it away first.")
    key = SigningKey.generate()
    key.save(args.key)
    key.public.save(args.key.with_suffix(".pub"))
    print(f"{args.key}: keep it off every door. {args.key.with_suffix('.pub')}: what doors trust.")


def _sign(args: argparse.Namespace) -> None:
    from firmware_config.bundle import sign_bundle  # noqa: PLC0415
    from firmware_config.keys import SigningKey  # noqa: PLC0415

    signed = sign_bundle(read(args.bundle), SigningKey.load(args.key))
    write_atomic(args.bundle, signed, PUBLIC)
    print(f"{args.bundle}: signed.")


def _inspect(args: argparse.Namespace) -> None:
    from firmware_config.bundle import read_bundle  # noqa: PLC0415
    from firmware_config.keys import VerifyKey  # noqa: PLC0415

    trusted = [VerifyKey.load(args.trust)] if args.trust else None
    bundle = read_bundle(read(args.bundle), trusted)
    shown = {
        "manifest": bundle.manifest.model_dump(mode="json"),
        "digest": bundle.digest,
        "signature": f"by {args.trust.name}" if args.trust else "not checked; say --trust release.pub",
        "encoder_bytes": len(bundle.onnx),
        "half_bytes": len(bundle.half) if bundle.half is not None else 0,
        "golden": len(bundle.golden.inputs),
        "operating_points": [point.model_dump() for point in bundle.calibration.operating_points],
        "calibrated_on": bundle.calibration.source,
        "compatible_with": {
            older: {"cross_tar_1e-3": proof.cross_tar, "old_tar_1e-3": proof.old_tar}
            for older, proof in bundle.proofs.items()
        },
    }
    if args.json:
        print(json.dumps(shown))
        return
    manifest = bundle.manifest
    print(f"{manifest.name} {manifest.version}, made {manifest.created:%Y-%m-%d}, {manifest.licence}")
    print(f"encoder   {manifest.encoder_id} ({len(bundle.onnx)} bytes)")
    if bundle.half is not None:
        print(f"in fp16   {len(bundle.half)} bytes, off int8's golden outputs by {manifest.half_off:.3f} at most")
    print(f"signature {shown['signature']}")
    print(f"trained   {'; '.join(manifest.trained_on)}")
    print(f"calibrated {bundle.calibration.source}")
    if bundle.calibration.doubt:
        print(f"  {bundle.calibration.doubt}")
    for point in bundle.calibration.operating_points:
        how = "fitted" if point.extrapolated else "counted"
        print(
            f"  FMR {point.fmr:g}: tau {point.tau:.3f} ({point.tau_low:.3f} to {point.tau_high:.3f}), "
            f"FNMR {point.fnmr:.3f} ({point.fnmr_low:.3f} to {point.fnmr_high:.3f}), {how}"
        )
    for older, proof in bundle.proofs.items():
        print(
            f"compatible with {older}: TAR at FMR 1e-3 {proof.cross_tar:.4f} across, {proof.old_tar:.4f} for that one "
            "with itself"
        )


def add(jobs: Jobs) -> None:
    """The parsers, in the order of the work."""
    job = jobs.add_parser("export", help="a run's encoder as float32 ONNX")
    job.add_argument("run", type=Path, help="a run's folder, or a file that weights made")
    job.add_argument("--out", type=Path, required=True)
    job.add_argument("--mirrored", action="store_true", help="look at each crop and at its mirror: twice the time")
    job.set_defaults(do=_export)

    job = jobs.add_parser("weights", help="a run's weights as a small file, for another run to start from")
    job.add_argument("run", type=Path)
    job.add_argument("--out", type=Path, required=True)
    job.set_defaults(do=_weights)

    job = jobs.add_parser("bundle", help="export, quantise, calibrate, pack and sign a run")
    job.add_argument("run", type=Path)
    job.add_argument("--out", type=Path, required=True)
    job.add_argument("--name", default="default")
    job.add_argument("--version", default="0.1.0")
    job.add_argument("--key", type=Path, help="the release key; without it the bundle stays unsigned")
    job.add_argument("--mirrored", action="store_true", help="look at each crop and at its mirror: twice the time")
    job.add_argument("--half", action="store_true", help="bring it in fp16 too, for doors with a GPU: 2 bytes a weight")
    job.add_argument("--quality", type=Path, help="a quality.onnx to go with it")
    job.add_argument(
        "--compatible-with",
        type=Path,
        action="append",
        default=[],
        metavar="OLD.latchkey",
        help="declare, if it proves true, that probes may be compared with this bundle's templates; may be said again",
    )
    job.add_argument("--results", type=Path, nargs="*", default=[], help="JSON of evaluate, for the model card")
    where(job)
    job.set_defaults(do=_bundle)

    job = jobs.add_parser("with-quality", help="put a ranking of quality into a bundle, under a higher version")
    job.add_argument("bundle", type=Path)
    job.add_argument("quality", type=Path, help="folder that `latchkey-trainer quality` has written")
    job.add_argument("--out", type=Path, required=True)
    job.add_argument("--version", required=True)
    job.add_argument("--key", type=Path, help="the release key; without it the bundle stays unsigned")
    job.set_defaults(do=_with_quality)

    job = jobs.add_parser("keygen", help="make a release key and its public half")
    job.add_argument("key", type=Path)
    job.set_defaults(do=_keygen)

    job = jobs.add_parser("sign", help="sign a bundle in place")
    job.add_argument("bundle", type=Path)
    job.add_argument("--key", type=Path, required=True)
    job.set_defaults(do=_sign)

    job = jobs.add_parser("inspect", help="what a bundle says of itself")
    job.add_argument("bundle", type=Path)
    job.add_argument("--trust", type=Path, help="check the signature against this public key")
    job.add_argument("--json", action="store_true", help="one line of JSON")
    job.set_defaults(do=_inspect)
