"""one-shot: what the runs of the small siamese worlds are worth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from firmware_config.files import write_atomic
from trainer.commands.shared import PUBLIC, Jobs, where


def _one_shot(args: argparse.Namespace) -> None:
    from trainer import one_shot  # noqa: PLC0415  # torch takes seconds; --help should not

    results = [one_shot.judge_run(run, args.data, args.cache, args.views) for run in args.runs]
    lines = [one_shot.sentence(result) for result in results]
    if len(results) > 1 and all("eer" in result for result in results):
        eer = np.array([result["eer"] for result in results])
        shot = np.array([result["one_shot"]["accuracy"] for result in results])
        lines.append(
            f"mean of {len(results)}: EER {eer.mean():.2%} ({eer.min():.2%} to {eer.max():.2%}), "
            f"one-shot {shot.mean():.1%} ({shot.min():.1%} to {shot.max():.1%})"
        )
    if args.report:
        from trainer.measuring.held_out import read_log  # noqa: PLC0415
        from trainer.measuring.report import one_shot_report  # noqa: PLC0415

        page = one_shot_report(results, lines, [read_log(run) for run in args.runs])
        write_atomic(args.report, page.encode(), PUBLIC)
    print(json.dumps(results if len(results) > 1 else results[0]) if args.json else "\n".join(lines))


def add(jobs: Jobs) -> None:
    """The parser."""
    job = jobs.add_parser("one-shot", help="N-way one-shot of runs: Lake's twenty for drawings, held-out people else")
    job.add_argument("runs", type=Path, nargs="+", metavar="run", help="a run's folder; several give a mean too")
    job.add_argument(
        "--views", type=int, default=1, help="looks at each image, of which the likest pairs count (default: 1)"
    )
    job.add_argument("--json", action="store_true", help="one line of JSON")
    job.add_argument("--report", type=Path, help="write a self-contained HTML page with curves here")
    where(job)
    job.set_defaults(do=_one_shot)
