"""Every stage is timed, at a cost that nobody notices, and health tells the middle and the slow end."""

from __future__ import annotations

import time

import numpy as np
import pytest

from device.camera import Frame
from device.picture import Pixels
from device.runtime import network_runs
from device.stages import FRAMES_KEPT, STAGES, StageRing, Stopwatch, after_look, before_look
from tests.waiting import until

BUDGET_US = 20.0
"""Issue 7: a frame's timing in all."""


def test_percentiles_are_those_of_the_frames_kept() -> None:
    ring = StageRing(frames=100)
    for number in range(250):
        ring.add(number / 15, {"detect": float(number)})
    kept = np.arange(150, 250)
    assert ring.spread()["detect"] == (round(float(np.median(kept)), 2), round(float(np.percentile(kept, 95)), 2))


def test_a_stage_that_was_not_reached_has_no_say() -> None:
    ring = StageRing()
    ring.add(0.0, {"detect": 2.0, "embed": 4.0})
    ring.add(0.1, {"detect": 3.0})
    assert ring.spread() == {"detect": (2.5, 2.95), "embed": (4.0, 4.0)}
    assert list(ring.spread()) == ["detect", "embed"]


def test_a_stage_that_comes_late_belongs_to_the_last_frame() -> None:
    ring = StageRing()
    ring.put("unlock", 9.0)
    ring.add(0.0, {"detect": 2.0})
    ring.add(0.1, {"detect": 3.0, "made up": 1.0})
    ring.put("unlock", 1.0)
    assert ring.spread() == {"detect": (2.5, 2.95), "unlock": (1.0, 1.0)}


def test_rate_is_that_of_the_latest_frames() -> None:
    ring = StageRing()
    assert ring.fps(0.0) == 0.0
    for number in range(100):
        ring.add(number / 30, {})
    for number in range(60):
        ring.add(100 / 30 + number / 15, {})
    newest = 100 / 30 + 59 / 15
    assert ring.fps(newest) == pytest.approx(15, abs=0.1)
    assert ring.fps(newest + 2.1) == 0.0


def test_a_stopwatch_knows_the_stretches_and_which_networks_ran() -> None:
    network_runs().append((0.0, 1.0))
    watch = Stopwatch()
    assert watch.networks() == [], "what ran before the frame is not the frame's"
    watch.lap("detect")
    begin = time.perf_counter()
    network_runs().append((begin, begin + 0.001))
    watch.lap("embed")
    assert list(watch.ms) == ["detect", "embed"]
    assert [span.name for span in watch.spans] == ["detect", "embed"]
    assert watch.spans[0].end == watch.spans[1].begin
    assert watch.networks() == [("network", begin, begin + 0.001)]


def test_the_ends_of_the_way_are_timed_from_the_cameras_arrival() -> None:
    frame = Frame(Pixels(np.zeros((2, 2, 3), np.uint8)), captured_at=10.0, sequence=1, ready_at=10.004)
    before = before_look(frame, taken=10.006, asked=10.0065)
    assert before == pytest.approx({"capture": 4.0, "wait": 2.0, "motion": 0.5})
    assert after_look(frame, before=10.012, decided=10.0125) == pytest.approx({"decide": 0.5, "frame": 12.5})


@pytest.mark.timed
def test_timing_a_frame_costs_less_than_its_budget() -> None:
    ring = StageRing(FRAMES_KEPT)
    laps = [stage for stage in STAGES if stage not in ("capture", "wait", "motion", "decide", "unlock", "frame")]
    frame = Frame(Pixels(np.zeros((2, 2, 3), np.uint8)), time.monotonic(), 1, "", time.monotonic())

    def cost_us() -> float:
        took = []
        for number in range(20):
            begun = time.perf_counter()
            watch = Stopwatch()
            for stage in laps:
                watch.lap(stage)
            for _ in range(3):
                network_runs().append((begun, time.perf_counter()))
            around = before_look(frame, frame.captured_at, begun) | after_look(frame, begun, begun)
            ring.add(number / 15, watch.ms | around)
            took.append(time.perf_counter() - begun)
        return float(np.median(took)) * 1e6

    # On a machine that others use all rounds of a second may take twice as long: one that is undisturbed says it.
    assert until(lambda: cost_us() < BUDGET_US, timeout_s=10, step_s=0)
