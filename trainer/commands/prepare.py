"""align, style and bench-data: from photographs to what a network is shown."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from pydantic import ValidationError

from firmware_config.errors import BadInput
from firmware_config.files import write_atomic
from trainer.commands.shared import PUBLIC, Jobs, cache, where


def _align(args: argparse.Namespace) -> None:
    from trainer.images import aligning  # noqa: PLC0415  # torch and OpenCV take seconds; --help should not

    if args.workers < 1:
        raise BadInput(f"--workers counts from 1; {args.workers} would align nothing.")
    done = aligning.align_folder(args.source, args.target, args.workers, args.cache)
    print(done.sentence())
    if args.shards:
        for path in aligning.write_shards(args.target, args.target):
            print(path)


def _style(args: argparse.Namespace) -> None:
    from trainer.images import style_picture  # noqa: PLC0415
    from trainer.images.style import read_style  # noqa: PLC0415
    from trainer.parts import Style  # noqa: PLC0415

    try:
        style = Style(frames=str(args.frames), share=1.0, beta=args.beta)
    except ValidationError as error:
        raise BadInput(f"--beta {args.beta} will not do: {error.errors()[0]['msg'].lower()}.") from error
    camera = read_style(style, style_picture.SIDE, 3)
    write_atomic(args.out, style_picture.before_and_after(camera, args.frames, args.cache), PUBLIC)
    print(f"{args.out}: {len(camera.amplitudes)} frames read, {camera.skipped} left out as they show nothing.")


def _bench_data(args: argparse.Namespace) -> None:
    from trainer import config  # noqa: PLC0415
    from trainer.measuring import bench_data  # noqa: PLC0415

    look = config.load(args.config).look if args.config else None
    result = bench_data.bench(args.data, args.crops, look)
    if args.report:
        write_atomic(args.report, bench_data.page_of(result).encode(), PUBLIC)
    print(json.dumps(result) if args.json else bench_data.sentence(result))


def add(jobs: Jobs) -> None:
    """The parsers, in the order of the work."""
    job = jobs.add_parser(
        "align", help="photographs, a folder for each person -> crops for training; Ctrl-C may stop it"
    )
    job.add_argument("source", type=Path, metavar="SRC", help="holds a folder of photographs for each person")
    job.add_argument("target", type=Path, metavar="DST", help="gets a folder of crops for each, and lists of the rest")
    job.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    job.add_argument("--shards", action="store_true", help="write the crops as WebDataset shards too: DST/faces-*.tar")
    cache(job)
    job.set_defaults(do=_align)

    job = jobs.add_parser("style", help="faces before and after they take a camera's look, as a picture")
    job.add_argument("--frames", type=Path, required=True, help="folder of the camera's pictures, of whatever")
    job.add_argument(
        "--beta", type=float, default=0.03, help="share of the frequencies, at most 0.25 (default: %(default)s)"
    )
    job.add_argument("--out", type=Path, required=True, help="a PNG file")
    cache(job)
    job.set_defaults(do=_style)

    job = jobs.add_parser(
        "bench-data", help="crops a second that one core decodes, and changes as a door's camera does"
    )
    job.add_argument("--crops", type=int, default=2000, help="how many to take (default: %(default)s)")
    job.add_argument("--config", type=Path, help="a TOML file with the looks; default: every step on every image")
    job.add_argument("--json", action="store_true", help="one line of JSON")
    job.add_argument("--report", type=Path, help="write a page of it here")
    where(job)
    job.set_defaults(do=_bench_data)
