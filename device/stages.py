"""How long each stage of a frame takes: a stopwatch for one frame, a ring of the latest ones for health.

Costs some 5 us a frame where asked are 20: a lap is two clock readings, a frame one row of a ring that was made once.
Percentiles are worked out when somebody asks, which is every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from device.camera import Frame
from device.runtime import network_runs
from firmware_config.face import FloatArray

STAGES: Final = (
    "capture",
    "wait",
    "motion",
    "decode",
    "detect",
    "align",
    "quality",
    "embed",
    "match",
    "decide",
    "unlock",
    "frame",
)
"""In the order of the way. capture: from the picture's arrival to the camera's thread having looked at it. wait: until
the loop took it. decode: of a JPEG, whole. unlock: from the grant to the broker's socket or the pin. frame: from
arrival to judgement."""

FRAMES_KEPT: Final = 450
"""Half a minute at 15 frames/s: a 95th percentile of fewer than 20 frames says nothing."""

RATE_FRAMES: Final = 45
"""Frames that the rate is taken over: three seconds at 15 frames/s."""


class Span(NamedTuple):
    """A stretch of time. begin, end: time.perf_counter(), s."""

    name: str
    begin: float
    end: float


class Spread(NamedTuple):
    """Of one stage, milliseconds."""

    p50: float
    p95: float


class Stopwatch:
    """Laps of one frame, one after the other. One thread."""

    def __init__(self) -> None:
        network_runs().clear()
        self._last = time.perf_counter()
        self._laps: list[tuple[str, float, float]] = []
        self.ms: dict[str, float] = {}
        """Stage -> milliseconds."""

    def lap(self, stage: str) -> None:
        """What was done since the last lap, or since the start, was this stage."""
        now = time.perf_counter()
        self.ms[stage] = (now - self._last) * 1000
        self._laps.append((stage, self._last, now))
        self._last = now

    @property
    def spans(self) -> list[Span]:
        """The same as stretches of time."""
        return [Span(*lap) for lap in self._laps]

    def networks(self) -> list[Span]:
        """When onnxruntime ran, on this thread since the start."""
        return [Span("network", begin, end) for begin, end in network_runs()]


def before_look(frame: Frame, taken: float, asked: float) -> dict[str, float]:
    """What lies before the way of a frame, as stage_ms.

    taken, asked: monotonic, s, when the loop had the frame, and when it knew whether to look at it.
    """
    ready = frame.ready_at if frame.ready_at is not None else frame.captured_at
    times = {"capture": ready - frame.captured_at, "wait": taken - ready, "motion": asked - taken}
    return {stage: seconds * 1000 for stage, seconds in times.items()}


def after_look(frame: Frame, before: float, decided: float) -> dict[str, float]:
    """What lies behind it. before, decided: monotonic, s, when the decider got what was seen, and had judged."""
    times = {"decide": decided - before, "frame": decided - frame.captured_at}
    return {stage: seconds * 1000 for stage, seconds in times.items()}


class StageRing:
    """Stage times of the latest frames. One thread."""

    def __init__(self, frames: int = FRAMES_KEPT) -> None:
        """frames: how many are kept; memory is taken now and does not grow."""
        self._rows = np.full((frames, len(STAGES)), np.nan, dtype=np.float32)
        self._at = np.zeros(frames, dtype=np.float64)
        self._column = {stage: column for column, stage in enumerate(STAGES)}
        self.count = 0
        """Frames that were added since the start."""

    def add(self, captured_at: float, stage_ms: Mapping[str, float]) -> None:
        """captured_at: monotonic, s. stage_ms: of the stages that were reached; names outside STAGES are dropped."""
        slot = self.count % len(self._at)
        row = self._rows[slot]
        row.fill(np.nan)
        for stage, milliseconds in stage_ms.items():
            column = self._column.get(stage)
            if column is not None:
                row[column] = milliseconds
        self._at[slot] = captured_at
        self.count += 1

    def put(self, stage: str, milliseconds: float) -> None:
        """One stage more of the frame that was added last."""
        if self.count:
            self._rows[(self.count - 1) % len(self._at), self._column[stage]] = milliseconds

    def row(self, stage: str) -> FloatArray:
        """Milliseconds in the frames kept, NaN where it was not reached. In order until the ring is full."""
        kept: FloatArray = self._rows[: min(self.count, len(self._rows)), self._column[stage]]
        return kept

    def fps(self, now: float) -> float:
        """Frames a second, 0 when the latest is older than two seconds. now: monotonic, s."""
        kept = min(self.count, len(self._at), RATE_FRAMES)
        if kept < 2:
            return 0.0
        newest = self._at[(self.count - 1) % len(self._at)]
        oldest = self._at[(self.count - kept) % len(self._at)]
        return 0.0 if now - newest > 2.0 else round((kept - 1) / max(newest - oldest, 1e-6), 1)

    def spread(self) -> dict[str, Spread]:
        """Stage -> median and 95th percentile over the frames kept that reached it, in the order of STAGES."""
        found: dict[str, Spread] = {}
        for stage in STAGES:
            times = self.row(stage)
            times = times[~np.isnan(times)]
            if len(times):
                median, high = np.percentile(times, (50, 95))
                found[stage] = Spread(round(float(median), 2), round(float(high), 2))
        return found
