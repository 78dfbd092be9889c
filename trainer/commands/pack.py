"""export, weights, bundle, adopt and with-quality: a run, or a public encoder, -> a bundle."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_config.errors import BadInput
from firmware_config.files import write_atomic
from trainer.commands.shared import PUBLIC, QUALITY, QUALITY_RESULT, Jobs, read, signing_key, where

if TYPE_CHECKING:
    from firmware_config.keys import SigningKey
    from trainer.config import Config
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
    from firmware_config.bundle import read_bundle  # noqa: PLC0415
    from trainer.images.sources import load_strangers  # noqa: PLC0415
    from trainer.loop.trained import load_trained  # noqa: PLC0415
    from trainer.packing import bundling  # noqa: PLC0415

    bundling.check_label(args.name, args.version)
    key = signing_key(args.key)
    results = _results(args.results)
    trained = load_trained(args.run)
    faces, split = load_strangers(trained.config, trained.images, args.data, args.cache)
    quality = read(args.quality) if args.quality else None
    mend = _mender(trained.config, args.cache)
    older = [read_bundle(read(path), trusted=None) for path in args.compatible_with]
    data = bundling.make_bundle(
        trained, faces, split, args.name, args.version, results, print, args.mirrored, quality, mend, older, args.half
    )
    _write_bundle(args.out, data, key)


def _adopt(args: argparse.Namespace) -> None:
    from trainer import config  # noqa: PLC0415
    from trainer.images.sources import load_named  # noqa: PLC0415
    from trainer.packing import adopting, bundling  # noqa: PLC0415

    bundling.check_label(args.teacher, args.version)
    key = signing_key(args.key)
    results = _results(args.results)
    settings = config.load(args.config)
    faces, split = load_named(settings, args.data, args.cache)
    mend = _mender(settings, args.cache)
    data = adopting.adopt(
        settings, args.teacher, faces, split, args.version, results, print, mend, args.half, args.cache
    )
    _write_bundle(args.out, data, key)


def _write_bundle(out: Path, data: bytes, key: SigningKey | None, which: str = "") -> None:
    from firmware_config.bundle import sign_bundle  # noqa: PLC0415

    write_atomic(out, sign_bundle(data, key) if key else data, PUBLIC)
    print(f"{out}: {which}{'signed' if key else 'NOT signed, no door takes it'}.")


def _results(paths: list[Path]) -> dict[str, Any]:
    """By the files' names; of their numbers as many digits as a card needs. Raises BadInput."""
    found = {}
    for path in paths:
        try:
            found[path.stem] = json.loads(read(path), parse_float=lambda text: float(f"{float(text):.5g}"))
        except ValueError as error:
            raise BadInput(f"{path} is no JSON; it is what `latchkey-trainer evaluate ... --json` prints.") from error
    return found


def _mender(config: Config, cache: Path | None) -> Callable[[Faces], Faces]:
    """Puts labels right by what the configuration's teachers say; without any, leaves them."""
    from trainer.teaching import labels, teachers  # noqa: PLC0415

    asked = [teachers.load_teacher(file, cache, config.threads) for file in config.teacher]

    def mend(held_out: Faces) -> Faces:
        if not asked:
            return held_out
        mended, doubled = labels.one_label_each(held_out, labels.teachers_rows(asked, held_out))
        for each in doubled:
            print(f"{each.first} and {each.second} are one person to the teachers (cosine {each.cosine:.2f})")
        return mended

    return mend


def _with_quality(args: argparse.Namespace) -> None:
    from trainer.packing import bundling  # noqa: PLC0415

    key = signing_key(args.key)
    found = json.loads(read(args.quality / QUALITY_RESULT))
    data = bundling.with_quality(read(args.bundle), read(args.quality / QUALITY), found, args.version)
    _write_bundle(args.out, data, key, f"{args.version}, ")


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

    job = jobs.add_parser("adopt", help="a public encoder, as it was published, -> a bundle in float32")
    job.add_argument("config", type=Path, help="a TOML file that has it as a [[teacher]], and people to calibrate with")
    job.add_argument("teacher", help="its name there")
    job.add_argument("--out", type=Path, required=True)
    job.add_argument("--version", default="0.1.0")
    job.add_argument("--key", type=Path, help="the release key; without it the bundle stays unsigned")
    job.add_argument("--half", action="store_true", help="bring it in fp16 too, for doors with a GPU: 2 bytes a weight")
    job.add_argument("--results", type=Path, nargs="*", default=[], help="JSON of evaluate, for the model card")
    where(job)
    job.set_defaults(do=_adopt)

    job = jobs.add_parser("with-quality", help="put a ranking of quality into a bundle, under a higher version")
    job.add_argument("bundle", type=Path)
    job.add_argument("quality", type=Path, help="folder that `latchkey-trainer quality` has written")
    job.add_argument("--out", type=Path, required=True)
    job.add_argument("--version", required=True)
    job.add_argument("--key", type=Path, help="the release key; without it the bundle stays unsigned")
    job.set_defaults(do=_with_quality)
