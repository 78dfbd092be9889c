"""latchkey-trainer: one subcommand a job. Bad input ends in one sentence and exit code 2."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.files import write_atomic

DEFAULT_DATA = Path("../shared/data")
PUBLIC = 0o644
"""Mode of what holds no secret."""


def _train(args: argparse.Namespace) -> None:
    from trainer import config, train  # noqa: PLC0415  # torch takes seconds; --help should not

    settings = config.load(args.config)
    faces, split = train.load_faces(settings, args.data, args.cache)
    out = args.out or Path("runs") / settings.name
    train.train(settings, faces, split, out, say=lambda line: print(line, flush=True))


def _distill(args: argparse.Namespace) -> None:
    from trainer import config, distill, train  # noqa: PLC0415

    settings = config.load(args.config)
    faces, split = train.load_faces(settings, args.data, args.cache)
    out = args.out or Path("runs") / settings.name
    distill.distill(settings, faces, split, out, lambda line: print(line, flush=True), args.cache)


def _evaluate(args: argparse.Namespace) -> None:
    from trainer import evaluate  # noqa: PLC0415

    result = evaluate.evaluate(_read(args.bundle), args.protocol, args.data, args.cache)
    print(json.dumps(result) if args.json else evaluate.sentence(result))


def _export(args: argparse.Namespace) -> None:
    from trainer import bundling, export  # noqa: PLC0415

    model = export.to_onnx(bundling.load_trained(args.run).network, args.mirrored)
    write_atomic(args.out, model, PUBLIC)
    print(f"{args.out}: float32 encoder, {len(model)} bytes. The door takes the int8 one: see bundle.")


def _bundle(args: argparse.Namespace) -> None:
    from firmware_config.bundle import sign_bundle  # noqa: PLC0415
    from firmware_config.keys import SigningKey  # noqa: PLC0415
    from trainer import bundling, train  # noqa: PLC0415

    key = SigningKey.load(args.key) if args.key else None
    results = {path.stem: json.loads(_read(path)) for path in args.results}
    trained = bundling.load_trained(args.run)
    # People to calibrate and validate with have names; the unnamed images would only take memory.
    named = trained.config.data.model_copy(update={"unnamed_images": 0})
    faces, split = train.load_faces(trained.config.model_copy(update={"data": named}), args.data, args.cache)
    data = bundling.make_bundle(trained, faces, split, args.name, args.version, results, print, args.mirrored)
    write_atomic(args.out, sign_bundle(data, key) if key else data, PUBLIC)
    print(f"{args.out}: {'signed' if key else 'NOT signed, no door takes it'}.")


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

    signed = sign_bundle(_read(args.bundle), SigningKey.load(args.key))
    write_atomic(args.bundle, signed, PUBLIC)
    print(f"{args.bundle}: signed.")


def _inspect(args: argparse.Namespace) -> None:
    from firmware_config.bundle import read_bundle  # noqa: PLC0415
    from firmware_config.keys import VerifyKey  # noqa: PLC0415

    trusted = [VerifyKey.load(args.trust)] if args.trust else None
    bundle = read_bundle(_read(args.bundle), trusted)
    shown = {
        "manifest": bundle.manifest.model_dump(mode="json"),
        "digest": bundle.digest,
        "signature": f"by {args.trust.name}" if args.trust else "not checked; say --trust release.pub",
        "encoder_bytes": len(bundle.onnx),
        "golden": len(bundle.golden.inputs),
        "operating_points": [point.model_dump() for point in bundle.calibration.operating_points],
        "calibrated_on": bundle.calibration.source,
    }
    if args.json:
        print(json.dumps(shown))
        return
    manifest = bundle.manifest
    print(f"{manifest.name} {manifest.version}, made {manifest.created:%Y-%m-%d}, {manifest.licence}")
    print(f"encoder   {manifest.encoder_id} ({len(bundle.onnx)} bytes)")
    print(f"signature {shown['signature']}")
    print(f"trained   {'; '.join(manifest.trained_on)}")
    print(f"calibrated {bundle.calibration.source}")
    for point in bundle.calibration.operating_points:
        how = "fitted" if point.extrapolated else "counted"
        print(
            f"  FMR {point.fmr:g}: tau {point.tau:.3f} ({point.tau_low:.3f} to {point.tau_high:.3f}), "
            f"FNMR {point.fnmr:.3f} ({point.fnmr_low:.3f} to {point.fnmr_high:.3f}), {how}"
        )


def _tutorial_report(args: argparse.Namespace) -> None:
    from trainer import report  # noqa: PLC0415

    for path in report.tutorial_report(args.run, args.out, args.cache):
        print(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error


def build_parser() -> argparse.ArgumentParser:
    """The command line, in the order of the work."""
    parser = argparse.ArgumentParser(prog="latchkey-trainer", description="Train, measure and bundle the encoder.")
    jobs = parser.add_subparsers(dest="job", required=True)

    for name, do, what in (
        ("train", _train, "train, or go on with a stopped run; Ctrl-C saves"),
        ("distill", _distill, "let public encoders teach ([distill] in the file), or go on; Ctrl-C saves"),
    ):
        job = jobs.add_parser(name, help=what)
        job.add_argument("config", type=Path, help="a TOML file, see trainer/configs")
        job.add_argument("--out", type=Path, help="the run's folder (default: runs/NAME)")
        _where(job)
        job.set_defaults(do=do)

    job = jobs.add_parser("evaluate", help="measure a bundle on a published protocol")
    job.add_argument("bundle", type=Path)
    job.add_argument("--protocol", choices=("lfw", "att"), required=True)
    job.add_argument("--json", action="store_true", help="one line of JSON")
    _where(job)
    job.set_defaults(do=_evaluate)

    job = jobs.add_parser("export", help="a run's encoder as float32 ONNX")
    job.add_argument("run", type=Path)
    job.add_argument("--out", type=Path, required=True)
    job.add_argument("--mirrored", action="store_true", help="look at each crop and at its mirror: twice the time")
    job.set_defaults(do=_export)

    job = jobs.add_parser("bundle", help="export, quantise, calibrate, pack and sign a run")
    job.add_argument("run", type=Path)
    job.add_argument("--out", type=Path, required=True)
    job.add_argument("--name", default="default")
    job.add_argument("--version", default="0.1.0")
    job.add_argument("--key", type=Path, help="the release key; without it the bundle stays unsigned")
    job.add_argument("--mirrored", action="store_true", help="look at each crop and at its mirror: twice the time")
    job.add_argument("--results", type=Path, nargs="*", default=[], help="JSON of evaluate, for the model card")
    _where(job)
    job.set_defaults(do=_bundle)

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

    job = jobs.add_parser("tutorial-report", help="the articles' pictures: loss curve, pairs with dissimilarity")
    job.add_argument("run", type=Path, help="folder of a run of trainer/configs/tutorial-att.toml")
    job.add_argument("--out", type=Path, default=Path("docs/images"))
    job.add_argument("--cache", type=Path, help="where fetched files are kept")
    job.set_defaults(do=_tutorial_report)
    return parser


def _where(job: argparse.ArgumentParser) -> None:
    job.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the shards (default: %(default)s)")
    job.add_argument("--cache", type=Path, help="where fetched files are kept")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 for bad input, with a sentence; 130 after Ctrl-C."""
    args = build_parser().parse_args(arguments)
    try:
        args.do(args)
    except LatchkeyError as error:
        print(f"latchkey-trainer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("latchkey-trainer: stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
