"""one-shot: what the runs of the small siamese worlds are worth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from trainer.commands.shared import Jobs, where


def _one_shot(args: argparse.Namespace) -> None:
    from trainer import one_shot  # noqa: PLC0415  # torch takes seconds; --help should not

    results = [one_shot.judge_run(run, args.data, args.cache, args.views) for run in args.runs]
    if args.json:
        print(json.dumps(results if len(results) > 1 else results[0]))
        return
    for result in results:
        print(one_shot.sentence(result))
    if len(results) > 1 and all("eer" in result for result in results):
        eer = np.array([result["eer"] for result in results])
        shot = np.array([result["one_shot"]["accuracy"] for result in results])
        print(
            f"mean of {len(results)}: EER {eer.mean():.2%} ({eer.min():.2%} to {eer.max():.2%}), "
            f"one-shot {shot.mean():.1%} ({shot.min():.1%} to {shot.max():.1%})"
        )


def add(jobs: Jobs) -> None:
    """The parser."""
    job = jobs.add_parser("one-shot", help="N-way one-shot of runs: Lake's twenty for drawings, held-out people else")
    job.add_argument("runs", type=Path, nargs="+", metavar="run", help="a run's folder; several give a mean too")
    job.add_argument(
        "--views", type=int, default=1, help="looks at each image, of which the likest pairs count (default: 1)"
    )
    job.add_argument("--json", action="store_true", help="one line of JSON")
    where(job)
    job.set_defaults(do=_one_shot)
