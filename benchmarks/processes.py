"""python -m benchmarks.processes: how far the loss curve of two torchrun processes is from that of one."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from firmware_config.files import write_atomic
from trainer.measuring import figures
from trainer.measuring.report import plots_report

CONFIG: Final = Path(__file__).parents[1] / "trainer/configs/att-triplet.toml"
CLOSE: Final = 1e-4


def losses(config: Path, out: Path, processes: int, threads: int) -> list[float]:
    """The loss at every step of a run of its own."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *torchrun, "-m", "trainer.cli", "train", str(config), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def main() -> None:
    """Prints one line of JSON: steps, and for float64 and float32 the largest difference and how long it is close."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=__doc__)
    parser.add_argument("--epochs", type=int, default=5, help="of seven steps (default: %(default)s)")
    parser.add_argument("--report", type=Path, help="write a page of the curves here")
    args = parser.parse_args()
    plots = []
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float64", "float32"):
            text = CONFIG.read_text().replace("epochs = 100", f"epochs = {args.epochs}")
            config = Path(folder) / "config.toml"
            config.write_text(text.replace("threads = 1", f'threads = 2\nprecision = "{precision}"', 1))
            runs = {
                name: losses(config, Path(folder) / precision / name, processes, threads)
                for name, processes, threads in (("one", 1, 2), ("two", 2, 1))
            }
            plots.append(figures.curves(runs, "step", "loss", f"Loss of one process and of two, {precision}"))
            apart = [abs(a - b) for a, b in zip(runs["one"], runs["two"], strict=True)]
            close = next((step for step, difference in enumerate(apart) if difference > CLOSE), len(apart))
            result["steps"] = len(apart)
            result[precision] = {"largest_difference": max(apart), f"steps_within_{CLOSE:g}": close}
    if args.report:
        lines = [
            f"The same run, {result['steps']} steps of equal global batches, by one process and by two (gloo, CPU)."
        ]
        write_atomic(args.report, plots_report("Two processes", lines, plots, result).encode(), 0o644)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
