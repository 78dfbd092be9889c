"""keygen, sign and inspect: a bundle -> what a door accepts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from firmware_config.errors import BadInput
from firmware_config.files import write_atomic
from trainer.commands.shared import PUBLIC, PUBLIC_HALF, Jobs, read, signing_key, verify_key


def _keygen(args: argparse.Namespace) -> None:
    from firmware_config.keys import SigningKey  # noqa: PLC0415

    if args.key.exists():
        raise BadInput(f"{args.key} is there already. A lost release key locks every door out: move it away first.")
    key = SigningKey.generate()
    key.save(args.key)
    key.public.save(args.key.with_suffix(PUBLIC_HALF))
    print(f"{args.key}: keep it off every door. {args.key.with_suffix('.pub')}: what doors trust.")


def _sign(args: argparse.Namespace) -> None:
    from firmware_config.bundle import sign_bundle  # noqa: PLC0415

    key = signing_key(args.key)
    assert key is not None  # argparse wants one
    signed = sign_bundle(read(args.bundle), key)
    write_atomic(args.bundle, signed, PUBLIC)
    print(f"{args.bundle}: signed.")


def _inspect(args: argparse.Namespace) -> None:
    from firmware_config.bundle import read_bundle  # noqa: PLC0415

    trusted = [verify_key(args.trust)] if args.trust else None
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
