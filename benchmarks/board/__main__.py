"""python -m benchmarks.board: what a board at a door has to do, in numbers, beside peers in the same run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from benchmarks.__main__ import ROOT
from benchmarks.board.door import in_memory, percentile, said_by, starts, walk_ups
from benchmarks.machine import in_words, machine
from firmware_config.files import write_atomic

PARTS: Final = ("frame", "peers", "lists", "door", "start")


@dataclass(frozen=True)
class Line:
    """One row of the table. value, at_most: in the row's unit; value None where it could not be measured."""

    what: str
    value: float | None
    at_most: float
    unit: str
    against: str = ""

    @property
    def met(self) -> bool:
        return self.value is not None and self.value <= self.at_most

    def __str__(self) -> str:
        digits = 2 if self.at_most < 10 else 0 if self.at_most >= 100 else 1
        shown = "not measured" if self.value is None else f"{self.value:.{digits}f}{self.unit}"
        met = "yes" if self.met else "**no**"
        return f"| {self.what} | {shown} | {self.at_most:g}{self.unit} | {met} | {self.against} |"


def of_frame(by_clock: dict[str, dict[str, Any]], peers: dict[str, Any]) -> list[Line]:
    """by_clock: of in_memory.py, by `wall` and `cpu`. peers: of peers.py, by name; what was left out is not measured.
    By the clock on the wall; what is told of it is also in the processor time of the door's thread, since other work
    counts in the wall's."""
    found, thread = by_clock["wall"], by_clock["cpu"]
    whole, cpu = found["whole_ms"], thread["whole_ms"]
    alone = {kind: sum(of.values()) for kind, of in found["alone_ms"].items()}
    ours, floor, warm, cold = percentile(whole, 50), alone["woken"], alone["warm"], alone["cold"]
    ours_cpu, floor_cpu = percentile(cpu, 50), sum(thread["alone_ms"]["woken"].values())
    searched = found["all_searched_ms"]
    told = f"{ours:.2f} ms, {found['frames']:,} frames; those searched all over, {len(searched):,}, "
    told += f"{percentile(searched, 50):.2f} ms, {percentile(searched, 50) / floor:.2f} x; "
    told += f"detector, on the whole picture, and encoder alone {floor:.2f} ms, each picture after the same wait as a "
    told += f"frame; one right after the other {warm:.2f} ms, {ours / warm:.2f} x; with caches emptied before each "
    told += f"{cold:.2f} ms, {ours / cold:.2f} x; in processor time {ours_cpu:.2f} and {floor_cpu:.2f} ms, "
    told += f"{ours_cpu / floor_cpu:.2f} x"
    lines = [
        Line(
            "frame in memory to unlock at the socket, gallery 1,000, one thread: median over the floor",
            ours / floor if not found["not_opened"] + thread["not_opened"] else None,
            1.25,
            " x",
            told,
        )
    ]
    for name, title, share in (
        ("face_recognition", "the same over `face_recognition` (dlib HOG + ResNet)", 1 / 15),
        ("opencv", "the same over FaceDetectorYN + FaceRecognizerSF", 1 / 3),
    ):
        peer = peers.get(name)
        value = ours / peer["ms"] if peer else None
        told = f"{peer['ms']:.1f} ms, {peer['frames']} frames" if peer else "could not be had"
        lines.append(Line(title, value, round(share, 3), " x", told))
    spread = percentile(whole, 99) / ours
    told = f"p99 {percentile(whole, 99):.2f} ms; in processor time {percentile(cpu, 99) / ours_cpu:.2f} x"
    lines.append(Line("p99 / p50 of it", spread, 2.5, " x", told))
    told = f"networks, the ranker with them, {found['networks_ms']:.2f} ms, OpenCV {found['opencv_ms']:.2f} ms"
    told += f"; in processor time {thread['glue_ms']:.2f} ms"
    glue = Line("time in Python outside OpenCV and onnxruntime, per frame", found["glue_ms"], 0.6, " ms", told)
    lines.append(glue)
    return lines


def of_lists(found: dict[str, dict[str, float]]) -> list[Line]:
    """found: of lists.py."""
    lines = []
    for kind, size in (("float32", "100,000 x 128 float32"), ("int8", "1,000,000 x 128 int8")):
        times = dict(found[kind])
        ours, floor = times.pop("ours"), times.pop("floor")
        told = ", ".join(f"{name} {value:.2f} ms" for name, value in times.items())
        against = f"{ours:.2f} ms; one pass at the copy's bandwidth {floor:.2f} ms; {told}"
        lines.append(Line(f"one probe against {size} over one pass", ours / floor, 1.3, " x", against))
        rivals = [value for name, value in times.items() if name in ("faiss flat", "usearch exact")]
        value = ours / min(rivals) if rivals else None
        lines.append(Line("the same over the quicker of faiss flat and usearch exact", value, 1.0, " x"))
    return lines


def of_door(found: dict[str, Any]) -> list[Line]:
    """found: of door.walk_ups."""
    relay = found["relay_ms"]
    told = f"median {percentile(relay, 50):.0f} ms; {len(relay)} visits, {found['missed']} not opened"
    return [
        Line(
            "relay on after the first frontal frame, 15 frames/s, 3 of 5, TLS: p95",
            percentile(relay, 95) if relay and not found["missed"] else None,
            320,
            " ms",
            told,
        ),
        Line("idle, nobody in front, 640x480 MJPEG at 15 frames/s: of one core", found["cpu"] * 100, 4, " %"),
        Line("memory of the daemon, 1,000 people", found["rss_mb"], 160, " MB"),
    ]


def of_start(found: dict[str, float]) -> list[Line]:
    """found: of door.starts."""
    more = (found["ready"] - found["imports"]) * 1000
    cpu = (found["ready_cpu"] - found["imports_cpu"]) * 1000
    told = f"ready {found['ready'] * 1000:.0f} ms, imports alone {found['imports'] * 1000:.0f} ms; in processor time "
    told += f"{cpu:.0f} ms"
    return [Line("cold start to ready, beyond `import cv2, onnxruntime`", more, 400, " ms", told)]


def table(lines: list[Line]) -> str:
    """Markdown."""
    head = ["| what | measured | to reach | met | against |", "|---|---|---|---|---|"]
    return "\n".join([*head, *map(str, lines)])


def _tell(part: str) -> None:
    print(f"bench-device: {part} measured", file=sys.stderr, flush=True)


def main() -> int:
    """Prints the table, writes the result -> 0, also where a figure is missed: the machine may have other work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.board", description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000, help="of the way to the unlock (default 10,000)")
    parser.add_argument("--peer-frames", type=int, default=100, help="for each peer (default 100)")
    parser.add_argument("--visits", type=int, default=50, help="walk-ups for the relay (default 50)")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds with nobody in front (default 60)")
    parser.add_argument("--starts", type=int, default=9, help="cold starts (default 9)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {','.join(PARTS)}; peers come with frame")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/board.json")
    args = parser.parse_args()
    only = args.only.split(",")
    if unknown := [part for part in only if part not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # for the parts, which are processes
    raw: dict[str, Any] = {}
    described, lines = machine(), []
    try:
        if "frame" in only:
            raw["frame"] = in_memory(args.frames)
            raw["peers"] = said_by("benchmarks.board.peers", str(args.peer_frames)) if "peers" in only else {}
            lines += of_frame(raw["frame"], raw["peers"])
            _tell("frame and peers")
        if "lists" in only:
            raw["lists"] = said_by("benchmarks.board.lists")
            lines += of_lists(raw["lists"])
            _tell("lists")
        if "door" in only:
            raw["door"] = walk_ups(args.visits, args.idle)
            lines += of_door(raw["door"])
            _tell("door")
        if "start" in only:
            raw["start"] = starts(args.starts)
            lines += of_start(raw["start"])
    except subprocess.CalledProcessError as error:
        print(f"bench-device: a part of it failed: {error}", file=sys.stderr)
        return 1
    for found in raw.get("frame", {}).values():
        found.pop("whole_ms")
        found.pop("all_searched_ms")
    result = {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": described | {"load_after": os.getloadavg()[0]},
        "lines": [asdict(line) | {"met": line.met} for line in lines],
        "raw": raw,
    }
    write_atomic(args.out, (json.dumps(result, indent=1) + "\n").encode(), 0o644)
    print(table(lines))
    print(f"\n{in_words(described)} Load after it {os.getloadavg()[0]:.1f}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
