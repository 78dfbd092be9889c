"""python -m benchmarks.mining: epochs that a miner needs for the EER that random triplets reach in a hundred."""

from __future__ import annotations

import argparse
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from firmware_config.files import write_atomic
from trainer.config import Config, load
from trainer.measuring import figures
from trainer.measuring.report import plots_report
from trainer.train import load_faces, train

CONFIG: Final = Path(__file__).parents[1] / "trainer/configs/att-triplet.toml"
MINERS: Final = ("random", "semi-hard", "batch-hard")
SMOOTH: Final = 5
"""Epochs that an EER is the mean of, the epoch and those before: with ten people a single one jumps."""


def with_miner(config: Config, miner: str, seed: int) -> Config:
    """The same run with another miner, people and weights."""
    (stage,) = config.stage
    (loss,) = stage.loss
    mined = stage.model_copy(update={"loss": (loss.model_copy(update={"miner": miner}),)})
    return config.model_copy(update={"stage": (mined,), "seed": seed})


def curve(config: Config, cache: Path | None) -> list[float]:
    """EER on the people held out, after each epoch."""
    faces, split = load_faces(config, Path(), cache)
    with tempfile.TemporaryDirectory() as folder:
        run = train(config, faces, split, Path(folder), say=lambda _line: None)
    return [round(entry["eer"], 5) for entry in run.history if "eer" in entry]


def smooth(rates: list[float]) -> list[float]:
    """Each the mean of itself and the few before it."""
    return [float(np.mean(rates[max(0, i - SMOOTH + 1) : i + 1])) for i in range(len(rates))]


def epochs_to(rates: list[float], wanted: float) -> int | None:
    """The first epoch whose smooth rate is no higher; None when there is none."""
    return next((epoch for epoch, rate in enumerate(smooth(rates), start=1) if rate <= wanted), None)


def summary(curves: dict[str, dict[int, list[float]]]) -> dict[str, Any]:
    """Of the seeds' mean curve, and of each seed, how many epochs every miner takes to random's last EER."""
    seeds = sorted(set.intersection(*(set(each) for each in curves.values())))
    mean = {miner: np.mean([each[seed] for seed in seeds], axis=0).tolist() for miner, each in curves.items()}
    wanted = smooth(mean["random"])[-1]
    by_seed = {
        seed: {miner: epochs_to(each[seed], smooth(curves["random"][seed])[-1]) for miner, each in curves.items()}
        for seed in seeds
    }
    return {
        "seeds": seeds,
        "random_eer_at_the_end": round(wanted, 4),
        "epochs": {miner: epochs_to(rates, wanted) for miner, rates in mean.items()},
        "eer_at_the_end": {miner: round(smooth(rates)[-1], 4) for miner, rates in mean.items()},
        "epochs_by_seed": by_seed,
    }


def page_of(curves: dict[str, dict[int, list[float]]]) -> str:
    """The mean curve over the seeds, and each seed's, as a report."""
    found = summary(curves)
    seeds, wanted = found["seeds"], found["random_eer_at_the_end"]
    mean = {miner: smooth(np.mean([each[seed] for seed in seeds], axis=0).tolist()) for miner, each in curves.items()}
    lines = [
        f"AT&T, thirty people to train and ten held out, {len(seeds)} splits. An EER is the mean of {SMOOTH} epochs.",
        *(f"{miner}: {found['epochs'][miner]} epochs to an EER of {wanted:.1%}" for miner in curves),
    ]
    plots = [figures.curves(mean, "epoch", "EER", f"Mean of {len(seeds)} splits", wanted)]
    for seed in seeds:
        each = {miner: smooth(rates[seed]) for miner, rates in curves.items()}
        plots.append(figures.curves(each, "epoch", "EER", f"Split {seed}", smooth(curves["random"][seed])[-1]))
    return plots_report("Mining of triplets on AT&T", lines, plots, found)


def plain(config: Config) -> dict[str, Any]:
    """What was chosen, without what is as always."""
    return config.model_dump(mode="json", exclude_defaults=True)


def kept(path: Path | None, config: Config) -> dict[str, dict[int, list[float]]]:
    """The curves that a file has of this configuration, by miner and seed."""
    if path is not None and path.exists():
        found = json.loads(path.read_text())
        if found["config"] == plain(config):
            return {miner: {int(seed): rates for seed, rates in found["curves"][miner].items()} for miner in MINERS}
    return {miner: {} for miner in MINERS}


def main() -> None:
    """Prints one line of JSON; --out gets the curves too, as they come."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mining", description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the JSON here, or go on with it")
    parser.add_argument("--report", type=Path, help="write a page of the curves here")
    parser.add_argument("--cache", type=Path, help="where fetched files are kept")
    args = parser.parse_args()
    config = load(args.config)
    curves = kept(args.out, config)
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        running = {
            pool.submit(curve, with_miner(config, miner, seed), args.cache): (miner, seed)
            for seed in range(args.seeds)
            for miner in MINERS
            if seed not in curves[miner]
        }
        for each in as_completed(running):
            miner, seed = running[each]
            curves[miner][seed] = each.result()
            if args.out:
                result = {"config": plain(config), "curves": curves}
                if set.intersection(*(set(found) for found in curves.values())):
                    result["summary"] = summary(curves)
                write_atomic(args.out, json.dumps(result, indent=1).encode(), 0o644)
    if args.report:
        write_atomic(args.report, page_of(curves).encode(), 0o644)
    print(json.dumps(summary(curves)))


if __name__ == "__main__":
    main()
