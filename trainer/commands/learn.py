"""train and distill: a configuration and images -> a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.commands.shared import Jobs, where


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
