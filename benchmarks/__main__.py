"""python -m benchmarks: one table of encoders, ours and others', measured in one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and dlib: one thread for everybody

import numpy as np

from benchmarks import faces, peers
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.files import write_atomic
from trainer.lfw import ten_fold
from trainer.metrics import equal_error_rate, pair_table, true_accept_rate

ROOT: Final = Path(__file__).parents[1]
WARM_UP: Final = 10
"""Faces before the clock counts: caches and lazy allocations."""
FEWEST_RUNS: Final = 50


def times_ms(contestants: list[peers.Peer], shot: faces.Shot, runs: int) -> dict[str, float]:
    """Median time of one face each, without alignment. They take turns, so that a busy minute hits all alike."""
    chips = [peer.chip(shot) for peer in contestants]
    taken: dict[str, list[float]] = {peer.name: [] for peer in contestants}
    for turn in range(WARM_UP + runs):
        for peer, chip in zip(contestants, chips, strict=True):
            began = perf_counter()
            peer.embed(chip)
            if turn >= WARM_UP:
                taken[peer.name].append((perf_counter() - began) * 1e3)
    return {name: median(values) for name, values in taken.items()}


def accuracy(peer: peers.Peer, lfw: faces.Pairs | None, att: tuple[list[faces.Shot], Any]) -> dict[str, float]:
    """LFW's ten-fold accuracy and TAR at FMR 1e-3, AT&T's EER over all pairs."""
    shots, people = att
    table = pair_table(np.stack([peer.embed(peer.chip(shot)) for shot in shots]), people)
    found = {"att_eer": equal_error_rate(table.genuine, table.impostor)}
    if lfw is not None:
        rows = np.stack([peer.embed(peer.chip(shot)) for shot in lfw.shots])
        apart = np.linalg.norm(rows[lfw.rows[:, 0]] - rows[lfw.rows[:, 1]], axis=1).astype(np.float32)
        found["lfw_accuracy"] = float(ten_fold(apart, lfw.same).mean())
        found["lfw_tar_1e-3"] = true_accept_rate(apart[lfw.same], apart[~lfw.same], 1e-3)
    return found


def machine() -> dict[str, Any]:
    """What it was measured on, without its name."""
    import onnxruntime  # noqa: PLC0415  # device.runtime has set its environment by now

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "vector": [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni") if flag in flags],
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def contestants(bundle: Path, float_model: Path | None, cache_dir: Path | None) -> list[peers.Peer]:
    """Ours first. A peer that cannot be had is named on stderr and left out."""
    found = [peers.ours("Latchkey int8", read_bundle(bundle.read_bytes(), None).onnx)]
    if float_model is not None:
        found.append(peers.ours("Latchkey fp32", float_model.read_bytes()))
    for name, load in (("SFace", peers.sface), ("dlib ResNet", peers.dlib_resnet)):
        try:
            found.append(load(cache_dir))
        except (ImportError, LatchkeyError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def table_of(rows: list[dict[str, Any]]) -> str:
    """Markdown, one row an encoder; the times besides as multiples of the first."""
    lines = [
        "| encoder | file, MB | parameters, M | ms a face | x ours | LFW View 2 | TAR at FMR 1e-3 | AT&T EER |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lfw = f"{row['lfw_accuracy']:.2%} | {row['lfw_tar_1e-3']:.2%}" if "lfw_accuracy" in row else "not run | not run"
        lines.append(
            f"| {row['name']} | {row['file_bytes'] / 1e6:.2f} | {row['parameters'] / 1e6:.2f} | {row['ms']:.2f} "
            f"| {row['ms'] / rows[0]['ms']:.1f} | {lfw} | {row['att_eer']:.2%} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Prints the table and writes the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "device/models/default.latchkey")
    parser.add_argument("--float", type=Path, help="our encoder as float32 ONNX (latchkey-trainer export)")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lfw.tar")
    parser.add_argument("--pairs", type=int, default=6000, help="of LFW's View 2 (default: all 6000); 0: without LFW")
    parser.add_argument("--runs", type=int, default=100, help="timed faces of each encoder")
    parser.add_argument("--cache", type=Path, help="where fetched files are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/encoders.json")
    args = parser.parse_args()
    if args.runs < FEWEST_RUNS:
        parser.error(f"a median of fewer than {FEWEST_RUNS} runs says little")
    try:
        described = machine()
        found = contestants(args.bundle, args.float, args.cache)
        att = faces.att(args.cache)
        lfw = faces.lfw(args.data, args.pairs, args.cache) if args.pairs else None
    except BadInput as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    times = times_ms(found, att[0][0], args.runs)
    rows = [
        {
            "name": peer.name,
            "file_bytes": peer.file_bytes,
            "parameters": peer.parameters,
            "licence": peer.licence,
            "ms": times[peer.name],
            **accuracy(peer, lfw, att),
        }
        for peer in found
    ]
    result = {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": described,
        "threads": 1,
        "runs": args.runs,
        "lfw_pairs": 0 if lfw is None else len(lfw.same),
        "not_detected": sum(not shot.found for shot in [*att[0], *(lfw.shots if lfw else [])]),
        "encoders": rows,
    }
    write_atomic(args.out, (json.dumps(result, indent=1) + "\n").encode(), 0o644)
    print(table_of(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
