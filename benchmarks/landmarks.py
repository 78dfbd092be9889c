"""python -m benchmarks.landmarks: are better landmarks worth their time; does the trainer's jitter cover YuNet's?"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one thread for everybody

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import faces, kept, peers
from benchmarks.faces import Shot
from benchmarks.machine import in_words, machine
from benchmarks.retinaface import RetinaFace, retinaface_model
from benchmarks.steadiness import Detect, steadiness
from device.detect import Detector, Face
from device.detector_file import detector_model
from firmware_config.assets import default_cache
from firmware_config.bundle import read_bundle
from firmware_config.errors import LatchkeyError
from firmware_config.face import FloatArray, ImageArray
from firmware_config.files import write_atomic
from trainer.images.lfw import FOLDS
from trainer.measuring.metrics import equal_error_rate, pair_table, true_accept_rate

ROOT: Final = Path(__file__).parents[1]
WARM_UP: Final = 10
TURNED_SHARE: Final = 0.1
"""Of the pairs: those whose two heads differ most in yaw."""
FRAMES: Final = {"320x240, as a 640x480 camera gives": (640, 480), "320x320": (640, 640)}
"""What the detectors look at, and the frame it is made of, pixels."""


def times_ms(detectors: dict[str, Detect], photo: ImageArray, runs: int) -> dict[str, dict[str, float]]:
    """Median time of one frame with one face, decoding and suppression included, by frame; they take turns."""
    found: dict[str, dict[str, float]] = {}
    for name, (width, height) in FRAMES.items():
        frame = np.full((height, width, 3), 90, dtype=np.uint8)
        face = np.asarray(cv2.resize(photo, (width // 3, width // 3)), dtype=np.uint8)
        frame[height // 4 : height // 4 + len(face), width // 3 : width // 3 + len(face)] = face
        taken: dict[str, list[float]] = {each: [] for each in detectors}
        for turn in range(WARM_UP + runs):
            for each, detect in detectors.items():
                began = perf_counter()
                detect(frame)
                if turn >= WARM_UP:
                    taken[each].append((perf_counter() - began) * 1e3)
        found[name] = {each: median(values) for each, values in taken.items()}
    return found


def looked_at(shots: list[Shot], detect: Detect) -> list[Shot]:
    """The same images by another detector: its face nearest to where YuNet's, or the middle, is."""
    again = []
    for shot in shots:
        at, all_faces = shot.face.landmarks.mean(axis=0), detect(shot.image)
        near = [(float(np.linalg.norm(face.landmarks.mean(axis=0) - at)), face) for face in all_faces]
        distance, face = min(near, key=lambda each: each[0], default=(np.inf, shot.face))
        again.append(replace(shot, face=face, found=distance < shot.image.shape[1] / 4))
    return again


def yaw(face: Face) -> float:
    """The nose off the middle of the eyes along their line, in eye distances: what device.quality limits."""
    left, right, nose = face.landmarks[:3].astype(np.float64)
    across = right - left
    return float((nose - (left + right) / 2) @ across / max(float(across @ across), 1e-9))


def right_pairs(apart: FloatArray, same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """As lfw.ten_fold, pair by pair: each fold judged by the threshold that is best on the other nine."""
    fold = np.arange(len(apart)) * FOLDS // len(apart)
    right = np.stack([(apart <= threshold) == same for threshold in np.linspace(0.0, 2.0, 801)])
    judged = np.empty(len(apart), dtype=bool)
    for k in range(FOLDS):
        judged[fold == k] = right[int(np.argmax(right[:, fold != k].mean(axis=1)))][fold == k]
    return judged


def compared(
    encoders: list[peers.Peer], looks: dict[str, faces.Pairs], folder: Path | None, turned: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """One row an encoder and detector: LFW over all pairs and over the turned ones."""
    rows = []
    for peer in encoders:
        judged = {}
        for name, pairs in looks.items():
            said = kept.rows_of(peer, pairs.shots, folder)
            apart = np.linalg.norm(said[pairs.rows[:, 0]] - said[pairs.rows[:, 1]], axis=1).astype(np.float32)
            same, judged[name] = pairs.same, right_pairs(apart, pairs.same)
            rows.append(
                {
                    "encoder": peer.name,
                    "detector": name,
                    "accuracy": float(judged[name].mean()),
                    "tar_1e-3": true_accept_rate(apart[same], apart[~same], 1e-3),
                    "turned_accuracy": float(judged[name][turned].mean()),
                    "turned_eer": equal_error_rate(apart[turned & same], apart[turned & ~same]),
                }
            )
        first, second = judged.values()
        for row, mine, other in ((rows[-2], first, second), (rows[-1], second, first)):
            row["right_alone"] = int((mine & ~other).sum())
            row["turned_right_alone"] = int((mine & ~other)[turned].sum())
    return rows


def both_found(looks: dict[str, faces.Pairs]) -> tuple[dict[str, faces.Pairs], dict[str, int]]:
    """The pairs in which every detector found both faces, in their order; and the images that each missed."""
    first = next(iter(looks.values()))
    found = np.logical_and.reduce([[shot.found for shot in pairs.shots] for pairs in looks.values()])
    clear = found[first.rows].all(axis=1)
    kept_pairs = {name: replace(pairs, rows=pairs.rows[clear], same=pairs.same[clear]) for name, pairs in looks.items()}
    return kept_pairs, {name: sum(not shot.found for shot in pairs.shots) for name, pairs in looks.items()}


def turned_pairs(looks: dict[str, faces.Pairs]) -> NDArray[np.bool_]:
    """The tenth whose heads differ most in yaw, which the detectors are asked for together."""
    rows = next(iter(looks.values())).rows
    yaws = np.mean([[yaw(shot.face) for shot in pairs.shots] for pairs in looks.values()], axis=0)
    apart = np.abs(yaws[rows[:, 0]] - yaws[rows[:, 1]])
    turned: NDArray[np.bool_] = apart >= np.quantile(apart, 1 - TURNED_SHARE)
    return turned


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All of it. Raises BadInput, LostLink."""
    described, folder = machine(), (args.cache or default_cache()) / "bench"
    detectors: dict[str, Detect] = {
        "YuNet": Detector(detector_model(args.cache)).detect,
        "RetinaFace": RetinaFace(retinaface_model(args.cache)).detect,
    }
    bundle = read_bundle(args.bundle.read_bytes(), None)
    encoders = [peers.ours("Latchkey int8", bundle.onnx, bundle.manifest.licence)]
    if not args.ours_alone:
        encoders += [peers.public(title, file, args.cache) for title, file in peers.listed() if file.name == "sface"]
    att, people = faces.att(args.cache)
    pairs = faces.lfw(args.data, args.pairs, args.cache)
    times = times_ms(detectors, att[0].image, args.runs)
    other = looked_at(pairs.shots, detectors["RetinaFace"])
    looks, missed = both_found({"YuNet": pairs, "RetinaFace": replace(pairs, shots=other)})
    turned = turned_pairs(looks)
    seen = [i for i, shot in enumerate(pairs.shots) if shot.found and other[i].found]
    chosen = np.sort(np.random.default_rng(args.seed).permutation(seen)[: args.faces])
    steady = steadiness(
        [pairs.shots[i] for i in chosen], detectors["YuNet"], encoders[0], [other[i] for i in chosen], args.seed
    )
    rows = compared(encoders, looks, folder, turned)
    att_other = looked_at(att, detectors["RetinaFace"])
    for row in rows:
        shots = att if row["detector"] == "YuNet" else att_other
        (peer,) = (each for each in encoders if each.name == row["encoder"])
        table = pair_table(kept.rows_of(peer, shots, folder), people)
        row["att_eer"] = equal_error_rate(table.genuine, table.impostor)
    return {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": described,
        "threads": 1,
        "runs": args.runs,
        "encoder": f"{bundle.manifest.name} {bundle.manifest.version}",
        "ms": times,
        "lfw_pairs": len(turned),
        "turned_pairs": int(turned.sum()),
        "missed": missed,
        "att_missed": {"YuNet": sum(not s.found for s in att), "RetinaFace": sum(not s.found for s in att_other)},
        "rows": rows,
        "yunet": steady,
    }


def tables(result: dict[str, Any]) -> str:
    """Markdown: time, accuracy, steadiness."""
    lines = ["| frame | YuNet, ms | RetinaFace, ms |", "|---|---|---|"]
    lines += [f"| {frame} | {ms['YuNet']:.2f} | {ms['RetinaFace']:.2f} |" for frame, ms in result["ms"].items()]
    whole, turned = f"LFW, {result['lfw_pairs']} pairs", f"the {result['turned_pairs']} most turned"
    lines += [
        "",
        f"| encoder | detector | {whole} | right alone | TAR at FMR 1e-3 | {turned} | right alone | EER | AT&T EER |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        over_all = f"{row['accuracy']:.2%} | {row['right_alone']} | {row['tar_1e-3']:.2%}"
        over_turned = f"{row['turned_accuracy']:.2%} | {row['turned_right_alone']} | {row['turned_eer']:.2%}"
        lines.append(f"| {row['encoder']} | {row['detector']} | {over_all} | {over_turned} | {row['att_eer']:.2%} |")
    lines += [
        "",
        "| change | faces | lost | a point, px | turn, deg | zoom, % | shift, px | covered | one look | distance |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result["yunet"].items():
        zoom = ", ".join(f"{row['zoom'][each] * 100:.1f}" for each in ("p50", "p95"))
        point, turn, shift, distance = (
            ", ".join(f"{row[key][each]:.2f}" for each in ("p50", "p95"))
            for key in ("point_px", "turn_degrees", "shift_px", "distance")
        )
        lines.append(
            f"| {name} | {row['faces']} | {row['lost']} | {point} | {turn} | {zoom} | {shift} "
            f"| {row['covered']['all']:.1%} | {row['covered_one']['all']:.1%} | {distance} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Prints the tables and writes the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.landmarks", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "device/models/default.latchkey")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lfw.tar")
    parser.add_argument("--pairs", type=int, default=6000, help="of LFW's View 2 (default: all 6000)")
    parser.add_argument("--faces", type=int, default=1000, help="of those that YuNet looks at again")
    parser.add_argument("--seed", type=int, default=1, help="of which faces, and how they are changed")
    parser.add_argument("--runs", type=int, default=100, help="timed frames of each detector")
    parser.add_argument("--ours-alone", action="store_true", help="without SFace, which takes minutes")
    parser.add_argument("--cache", type=Path, help="where fetched files and embeddings are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/landmarks.json")
    args = parser.parse_args()
    try:
        result = measure(args)
    except LatchkeyError as error:
        print(f"landmarks: {error}", file=sys.stderr)
        return 2
    write_atomic(args.out, (json.dumps(result, indent=1) + "\n").encode(), 0o644)
    print(tables(result))
    print(f"\n{in_words(result['machine'])} Where two numbers stand: the median and the 95th of a hundred.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
