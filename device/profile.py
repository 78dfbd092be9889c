"""latchkey-device profile: where the time of a frame goes on this board, as a table and as a flame chart.

It runs the door's own way of a frame, from the camera's thread to the judgement, without broker and lock, and beside no
daemon: a camera gives one stream.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from device.camera import Camera, Frame, open_camera, parse_source
from device.decide import Decider
from device.detect import Detector
from device.detector_file import detector_model
from device.embed import Encoder
from device.flame import Row, chart
from device.follow import Follower
from device.journal import now_utc
from device.match import Gallery
from device.model import Active, tested
from device.outfit import usual_bundle
from device.sight import look
from device.stages import STAGES, Span, Stopwatch, after_look, before_look
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput, BadState, LostLink
from firmware_config.face import EMBEDDING_SIZE
from firmware_config.files import write_atomic
from firmware_config.settings import DoorSettings

FRAME_WAIT_S: Final = 1.0
FIRST_FRAME_S: Final = 10.0
"""A USB camera takes one to three seconds, a network camera some more."""

WARM_UP: Final = 3
"""Frames before the clock counts: buffers and caches."""

INSIDE: Final = ("decode", "detect", "align", "quality", "embed", "match")
"""Stages in which Python, OpenCV and onnxruntime work by turns."""


MOST_PEOPLE: Final = 1_000_000


def profile(settings: DoorSettings, seconds: float, people: int, model: Path | None, chart_path: Path) -> str:
    """The command -> its table; the chart is written. people: made up, to be searched among.

    Raises BadInput for a wrong source or number, LostLink when no picture comes, BadState when the chart cannot be
    written.
    """
    if not 0 <= people <= MOST_PEOPLE:
        raise BadInput(f"--people is 0 to {MOST_PEOPLE:,}, not {people:,}.")
    path = model or usual_bundle(settings)
    try:
        bundle = read_bundle(path.read_bytes(), trusted=None)
    except OSError as error:
        raise BadInput(f"The bundle {path} cannot be read: {error.strerror}.") from error
    runtime = settings.runtime
    active = Active(
        tested(bundle, lambda onnx: Encoder(onnx, runtime.threads)),
        gallery=made_up(people, bundle.manifest.encoder_id) if people else None,
    )
    detector = Detector(detector_model(), runtime.threads, runtime.detect_size)
    with open_camera(settings.camera) as camera:
        taken = measure(camera, detector, active, seconds)
    source = parse_source(settings.camera.source)
    title = f"The way of a frame from {source}: {len(taken)} frames, {people:,} people, {runtime.threads} thread(s)"
    try:
        write_chart(chart_path, taken, title)
    except OSError as error:
        raise BadState(f"The chart {chart_path} cannot be written: {error.strerror}.") from error
    return f"{title}\n{table(taken)}\nFlame chart: {chart_path}"


def made_up(people: int, encoder_id: str) -> Gallery:
    """That many people who do not exist, all in other directions."""
    vectors = np.random.default_rng(people).standard_normal((people, EMBEDDING_SIZE), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"made up {number}" for number in range(people)]
    return Gallery(names, names, vectors, np.arange(people), encoder_id)


@dataclass(frozen=True)
class Taken:
    """One frame. stage_ms: as in health. spans: monotonic, s, the way of the frame; networks: when onnxruntime ran."""

    stage_ms: dict[str, float]
    spans: tuple[Span, ...]
    networks: tuple[Span, ...]

    @property
    def network_ms(self) -> float:
        """Milliseconds in onnxruntime."""
        return sum(span.end - span.begin for span in self.networks) * 1000

    @property
    def looked_ms(self) -> float:
        """Milliseconds from the picture in memory to the match."""
        return sum(self.stage_ms.get(stage, 0.0) for stage in INSIDE)


def measure(camera: Camera, detector: Detector, active: Active, seconds: float) -> list[Taken]:
    """Looks at every frame for so long, or until a recording ends. Raises LostLink when none comes."""
    decider, follower = Decider(active.roster), Follower(detector)
    taken: list[Taken] = []
    ends = time.monotonic() + FIRST_FRAME_S
    seen = 0
    while time.monotonic() < ends:
        frame = camera.newest(FRAME_WAIT_S)
        if frame is None:
            if seen and camera.state == "lost":
                break
            continue
        seen += 1
        if seen == WARM_UP:
            ends = time.monotonic() + seconds
        one = _one(frame, follower, active, decider)
        if seen > WARM_UP:
            taken.append(one)
    if not taken:
        raise LostLink(camera.why or f"No more than {seen} pictures came; a profile needs more than {WARM_UP}.")
    return taken


def _one(frame: Frame, follower: Follower, active: Active, decider: Decider) -> Taken:
    taken = time.monotonic()
    watch = Stopwatch()
    seen = look(frame, follower, active, watch)
    networks = tuple(watch.networks())
    before = time.monotonic()
    decider.step(seen.observation, before, now_utc())
    watch.lap("decide")
    around = before_look(frame, taken, taken) | after_look(frame, before, time.monotonic())
    return Taken(watch.ms | around, tuple(watch.spans), networks)


def table(taken: Sequence[Taken]) -> str:
    """Stage, how many frames reached it, and its milliseconds."""
    lines = [f"{'stage':<22}{'frames':>8}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}"]
    for stage in STAGES:
        lines += _line(stage, [one.stage_ms[stage] for one in taken if stage in one.stage_ms])
    whole = [one for one in taken if "match" in one.stage_ms] or list(taken)
    lines += _line("decode to match", [one.looked_ms for one in whole])
    lines += _line("  of it in networks", [one.network_ms for one in whole])
    lines += _line("  of it around them", [one.looked_ms - one.network_ms for one in whole])
    return "\n".join(lines)


def _line(name: str, times: list[float]) -> list[str]:
    if not times:
        return []
    p50, p95, p99 = np.percentile(times, (50, 95, 99))
    return [f"{name:<22}{len(times):>8}{p50:>10.2f}{p95:>10.2f}{p99:>10.2f}"]


def write_chart(path: Path, taken: Sequence[Taken], title: str) -> None:
    """The middle and the slow frame of those that went furthest, as an SVG that needs nothing else."""
    furthest = max(len(one.spans) for one in taken)
    whole = sorted((one for one in taken if len(one.spans) == furthest), key=lambda one: one.looked_ms)
    middle, slow = whole[len(whole) // 2], whole[min(len(whole) - 1, int(len(whole) * 0.95))]
    rows = [_row("Median frame", middle), _row("Frame at the 95th percentile", slow)]
    write_atomic(path, chart(title, rows).encode(), mode=0o644)


def _row(name: str, one: Taken) -> Row:
    whole = Span(f"{name}, {one.looked_ms:.2f} ms from decode to match", one.spans[0].begin, one.spans[-1].end)
    return Row(whole, one.spans, one.networks)
