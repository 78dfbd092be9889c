"""python -m benchmarks: one table of encoders, ours and others', measured in one run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and dlib: one thread for everybody

import numpy as np

from benchmarks import faces, kept, peers
from benchmarks.machine import in_words, machine
from firmware_config.assets import default_cache
from firmware_config.bundle import Bundle, read_bundle
from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.files import write_atomic
from trainer.images.lfw import ten_fold
from trainer.measuring.metrics import equal_error_rate, pair_table, true_accept_rate

ROOT: Final = Path(__file__).parents[1]
WARM_UP: Final = 10
"""Faces before the clock counts: caches and lazy allocations."""
FEWEST_RUNS: Final = 50

OTHER_ENCODER: Final = 1.0
"""Mean distance on the golden inputs: int8 is a tenth or two from its float32, another encoder 1.4."""


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


@contextmanager
def one_core() -> Iterator[None]:
    """Holds the process on one of its cores, where the system can: a move costs the caches."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def accuracy(
    peer: peers.Peer, lfw: faces.Pairs | None, att: tuple[list[faces.Shot], Any], folder: Path | None = None
) -> dict[str, float]:
    """LFW's ten-fold accuracy and TAR at FMR 1e-3, AT&T's EER over all pairs. folder: where embeddings are kept."""
    shots, people = att
    table = pair_table(kept.rows_of(peer, shots, folder), people)
    found = {"att_eer": equal_error_rate(table.genuine, table.impostor)}
    if lfw is not None:
        rows = kept.rows_of(peer, lfw.shots, folder)
        apart = np.linalg.norm(rows[lfw.rows[:, 0]] - rows[lfw.rows[:, 1]], axis=1).astype(np.float32)
        found["lfw_accuracy"] = float(ten_fold(apart, lfw.same).mean())
        found["lfw_tar_1e-3"] = true_accept_rate(apart[lfw.same], apart[~lfw.same], 1e-3)
    return found


def contestants(
    bundle: Path, float_model: Path | None, listed: Path = peers.PEERS, cache_dir: Path | None = None
) -> list[peers.Peer]:
    """Ours first. A peer that cannot be had is named on stderr and left out. Raises BadInput, also for a float model
    that is not the bundle's encoder."""
    whole = read_bundle(_read(bundle, "--bundle"), None)
    found = [peers.ours("Latchkey int8", whole.onnx, whole.manifest.licence)]
    if float_model is not None:
        found.append(peers.ours("Latchkey fp32", _read(float_model, "--float"), whole.manifest.licence))
        _same_encoder(found[1], whole)
    loaders: list[tuple[str, Callable[[], peers.Peer]]] = [
        (title, partial(peers.public, title, file, cache_dir)) for title, file in peers.listed(listed)
    ]
    loaders += [("EdgeFace-XXS", peers.edgeface), ("dlib ResNet", partial(peers.dlib_resnet, cache_dir))]
    for name, load in loaders:
        try:
            found.append(load())
        except (ImportError, LatchkeyError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} ({option}) cannot be read: {error.strerror}.") from error


def _same_encoder(peer: peers.Peer, whole: Bundle) -> None:
    golden = whole.golden
    apart = [np.linalg.norm(peer.embed(i) - o) for i, o in zip(golden.inputs, golden.outputs, strict=True)]
    if np.mean(apart) > OTHER_ENCODER:
        raise BadInput(
            f"The model of --float is not the bundle's encoder: on the golden inputs they are {np.mean(apart):.2f} "
            f"apart. Export the run that the bundle was made of."
        )


def table_of(rows: list[dict[str, Any]]) -> str:
    """Markdown, one row an encoder; the times besides as multiples of the first."""
    lines = [
        "| encoder | file, MB | parameters, M | ms a face | x ours | LFW View 2 | TAR at FMR 1e-3 | AT&T EER |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        rates = [f"{row[key]:.2%}" if key in row else "not run" for key in ("lfw_accuracy", "lfw_tar_1e-3", "att_eer")]
        lines.append(
            f"| {row['name']} | {row['file_bytes'] / 1e6:.2f} | {row['parameters'] / 1e6:.2f} | {row['ms']:.2f} "
            f"| {row['ms'] / rows[0]['ms']:.1f} | {' | '.join(rates)} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Prints the table and writes the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "device/models/default.latchkey")
    parser.add_argument("--float", type=Path, help="our encoder as float32 ONNX (latchkey-trainer export --mirrored)")
    parser.add_argument("--peers", type=Path, default=peers.PEERS, help="list of encoders to compare with")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lfw.tar")
    parser.add_argument("--pairs", type=int, default=6000, help="of LFW's View 2 (default: all 6000); 0: without LFW")
    parser.add_argument("--runs", type=int, default=100, help="timed faces of each encoder")
    parser.add_argument("--cache", type=Path, help="where fetched files and embeddings are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/encoders.json")
    args = parser.parse_args()
    if args.runs < FEWEST_RUNS:
        parser.error(f"a median of fewer than {FEWEST_RUNS} runs says little")
    try:
        described = machine()
        found = contestants(args.bundle, args.float, args.peers, args.cache)
        att = faces.att(args.cache)
        lfw = faces.lfw(args.data, args.pairs, args.cache) if args.pairs else None
    except LatchkeyError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    with one_core():
        times = times_ms(found, att[0][0], args.runs)
    folder = (args.cache or default_cache()) / "bench"
    rows = [
        {
            "name": peer.name,
            "file_bytes": peer.file_bytes,
            "parameters": peer.parameters,
            "licence": peer.licence,
            "ms": times[peer.name],
            **(accuracy(peer, lfw, att, folder) if peer.trained else {}),
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
    print(f"\n{in_words(described)} Medians of {args.runs} faces each, in turns, after {WARM_UP} to warm up.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
