"""evaluate, occlusion and the articles' pictures: what a run or a bundle is worth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from firmware_config.errors import BadInput
from firmware_config.files import write_atomic
from trainer.commands.shared import PUBLIC, Jobs, cache, read, where

PROTOCOLS = ("lfw", "lfw-grey", "att", "identification", "groups", "held-out")
"""held-out is a run's; the others are a bundle's."""


def _evaluate(args: argparse.Namespace) -> None:
    if args.protocol == "groups" and not args.subject.is_dir():
        _by_group(args)
        return
    from trainer.measuring import evaluate  # noqa: PLC0415

    if args.subject.is_dir():
        from trainer.measuring.held_out import held_out_trial, run_embed  # noqa: PLC0415

        if args.protocol not in (None, "held-out"):
            raise BadInput(
                f"A run is judged on its own held-out people; bundle it first to judge it on {args.protocol}."
            )
        trial = held_out_trial(args.subject, args.data, args.cache)
        result, embed = evaluate.verification(trial), run_embed(args.subject)
    else:
        result, trial = evaluate.evaluate(read(args.subject), args.protocol or "lfw", args.data, args.cache)
        embed = evaluate.bundle_embed(read(args.subject))
    if args.report:
        from trainer.measuring.report import html_report  # noqa: PLC0415

        write_atomic(args.report, html_report(result, trial, embed, args.faces).encode(), PUBLIC)
    print(json.dumps(result) if args.json else evaluate.sentence(result))


def _by_group(args: argparse.Namespace) -> None:
    from trainer.measuring import groups, report  # noqa: PLC0415

    result = groups.by_group(read(args.subject), args.data)
    lines = groups.lines(result)
    if args.report:
        title = f"groups: {result['subject'][:24]}"
        write_atomic(args.report, report.plots_report(title, lines, groups.plots(result), result).encode(), PUBLIC)
    print(json.dumps(result) if args.json else "\n".join(lines))


def _occlusion(args: argparse.Namespace) -> None:
    from trainer.images.shots import crop_all, read_photo  # noqa: PLC0415
    from trainer.measuring import figures, report  # noqa: PLC0415
    from trainer.measuring.evaluate import bundle_embed  # noqa: PLC0415

    cropped = crop_all([read_photo(path) for path in args.photos], args.cache)
    embed = bundle_embed(read(args.bundle))
    first, second = embed(cropped.crops)
    title = f"distance {float(((first - second) ** 2).sum() ** 0.5):.2f}"
    write_atomic(args.out, report.as_png(figures.looked_at(embed, cropped.crops, np.array([[0, 1]]), [title])), PUBLIC)
    missed = f" No face was found in {cropped.missed} of the two: its middle was taken." if cropped.missed else ""
    print(f"{args.out}: {title}.{missed}")


def _tutorial_report(args: argparse.Namespace) -> None:
    from trainer.measuring import articles  # noqa: PLC0415

    for path in articles.tutorial_report(args.run, args.out, args.cache):
        print(path)


def add(jobs: Jobs) -> None:
    """The parsers, in the order of the work."""
    job = jobs.add_parser("evaluate", help="measure a bundle, or a run, on people that it never saw")
    job.add_argument("subject", type=Path, help="a bundle, or a run's folder")
    job.add_argument("--protocol", choices=PROTOCOLS, help="default: lfw for a bundle, held-out for a run")
    job.add_argument("--json", action="store_true", help="one line of JSON")
    job.add_argument("--report", type=Path, help="write a self-contained HTML page with curves here")
    job.add_argument("--faces", action="store_true", help="show faces in the report whatever the set's terms are")
    where(job)
    job.set_defaults(do=_evaluate)

    job = jobs.add_parser("occlusion", help="what the encoder looked at in two photos, as a picture")
    job.add_argument("bundle", type=Path)
    job.add_argument("photos", type=Path, nargs=2)
    job.add_argument("--out", type=Path, required=True, help="a PNG file")
    cache(job)
    job.set_defaults(do=_occlusion)

    job = jobs.add_parser("tutorial-report", help="the articles' pictures: loss curve, pairs with dissimilarity")
    job.add_argument("run", type=Path, help="folder of a run of trainer/configs/tutorial-att.toml")
    job.add_argument("--out", type=Path, default=Path("docs/images"))
    cache(job)
    job.set_defaults(do=_tutorial_report)
