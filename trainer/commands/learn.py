"""train, distill and quality: a configuration and images -> a run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from firmware_config.errors import BadInput
from firmware_config.files import write_atomic
from trainer.commands.shared import PUBLIC, QUALITY, QUALITY_RESULT, Jobs, read, where


def _train(args: argparse.Namespace) -> None:
    from trainer import config, train  # noqa: PLC0415  # torch takes seconds; --help should not
    from trainer.loop import world  # noqa: PLC0415  # torch takes seconds; --help should not

    settings = config.load(args.config)
    if args.seed is not None:
        if args.seed < 0:
            raise BadInput("--seed counts from 0.")
        settings = settings.model_copy(update={"seed": args.seed})
    if not settings.stage:  # said before the images are read, which takes minutes
        raise BadInput(f"{args.config} has teachers and no stages: use `latchkey-trainer distill`.")
    out = args.out or Path("runs") / settings.name
    with world.open_world() as here:
        faces, split = train.load_faces(settings, args.data, args.cache)
        train.train(settings, faces, split, out, world=here, board=out / "tensorboard" if args.tensorboard else None)


def _distill(args: argparse.Namespace) -> None:
    from trainer import config, distill, train  # noqa: PLC0415

    settings = config.load(args.config)
    if settings.distill is None:
        raise BadInput(f"{args.config} has stages and no teachers: use `latchkey-trainer train`.")
    faces, split = train.load_faces(settings, args.data, args.cache)
    out = args.out or Path("runs") / settings.name
    distill.distill(settings, faces, split, out, lambda line: print(line, flush=True), args.cache)


def _quality(args: argparse.Namespace) -> None:
    from trainer.quality import training  # noqa: PLC0415

    def say(line: str) -> None:
        print(line, flush=True)

    if args.measure:
        onnx = read(args.measure)
        found = training.remeasure_quality(read(args.bundle), onnx, args.data, say)
    else:
        onnx, found = training.make_quality(read(args.bundle), args.data, args.steps, say)
    write_atomic(args.out / QUALITY, onnx, PUBLIC)
    write_atomic(args.out / QUALITY_RESULT, json.dumps(found, indent=1).encode(), PUBLIC)
    print(f"{args.out / QUALITY}: {len(onnx)} bytes. Into a bundle: latchkey-trainer with-quality.")


def add(jobs: Jobs) -> None:
    """The parsers, in the order of the work."""
    for name, do, what in (
        ("train", _train, "train, or go on with a stopped run; Ctrl-C saves"),
        ("distill", _distill, "let public encoders teach ([distill] in the file), or go on; Ctrl-C saves"),
    ):
        job = jobs.add_parser(name, help=what)
        job.add_argument("config", type=Path, help="a TOML file, see trainer/configs")
        job.add_argument("--out", type=Path, help="the run's folder (default: runs/NAME)")
        where(job)
        job.set_defaults(do=do)
        if name == "train":
            job.add_argument("--seed", type=int, help="in place of the file's: another split, another chance")
            job.add_argument("--tensorboard", action="store_true", help="write TensorBoard's files to OUT/tensorboard")

    job = jobs.add_parser("quality", help="train the ranking of quality for a bundle's encoder, and measure it")
    job.add_argument("bundle", type=Path)
    job.add_argument("--out", type=Path, default=Path("runs/quality"), help="folder (default: %(default)s)")
    job.add_argument("--steps", type=int, default=3000, help="of 24 crops with six levels each (default: %(default)s)")
    job.add_argument("--measure", type=Path, metavar="FILE", help="measure this quality.onnx instead of training one")
    where(job)
    job.set_defaults(do=_quality)
