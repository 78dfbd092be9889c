"""python -m benchmarks.mining: epochs that a miner needs for the EER that random triplets reach in a hundred."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Final

from firmware_config.files import write_atomic
from trainer.config import Config, load
from trainer.train import load_faces, train

CONFIG: Final = Path(__file__).parents[1] / "trainer/configs/att-triplet.toml"
SMOOTH: Final = 5
"""Epochs that an EER is the mean of: with ten people a single one jumps by a tenth of itself."""


def with_miner(config: Config, miner: str, seed: int) -> Config:
    """The same run with another miner, people and weights."""
    (stage,) = config.stage
    (loss,) = stage.loss
    mined = stage.model_copy(update={"loss": (loss.model_copy(update={"miner": miner}),)})
    return config.model_copy(update={"stage": (mined,), "seed": seed})


def curve(config: Config, cache: Path | None) -> list[float]:
    """EER on the people held out, after each epoch, each the mean of the last few."""
    faces, split = load_faces(config, Path(), cache)
    with tempfile.TemporaryDirectory() as folder:
        run = train(config, faces, split, Path(folder), say=lambda _line: None)
    rates = [entry["eer"] for entry in run.history if "eer" in entry]
    return [sum(rates[max(0, i - SMOOTH + 1) : i + 1]) / min(i + 1, SMOOTH) for i in range(len(rates))]


def epochs_to(rates: list[float], wanted: float) -> int | None:
    """The first epoch whose rate is no higher; None when there is none."""
    return next((epoch for epoch, rate in enumerate(rates, start=1) if rate <= wanted), None)


def main() -> None:
    """Prints a line a seed, then one of JSON with the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mining", description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the JSON here")
    parser.add_argument("--cache", type=Path, help="where fetched files are kept")
    args = parser.parse_args()
    config = load(args.config)
    found: list[dict[str, Any]] = []
    for seed in range(args.seeds):
        curves = {
            miner: curve(with_miner(config, miner, seed), args.cache) for miner in ("random", "semi-hard", "batch-hard")
        }
        wanted = curves["random"][-1]
        found.append(
            {
                "seed": seed,
                "random_eer": round(wanted, 4),
                **{miner: epochs_to(rates, wanted) for miner, rates in curves.items()},
                "last_eer": {miner: round(rates[-1], 4) for miner, rates in curves.items()},
            }
        )
        print(json.dumps(found[-1]), flush=True)
    never = config.stage[0].epochs + 1
    result = {
        "config": config.model_dump(mode="json", exclude_defaults=True),
        "seeds": found,
        "median_epochs": {
            miner: median([each[miner] or never for each in found]) for miner in ("random", "semi-hard", "batch-hard")
        },
    }
    print(json.dumps(result["median_epochs"]))
    if args.out:
        write_atomic(args.out, json.dumps(result, indent=1).encode(), 0o644)


if __name__ == "__main__":
    main()
