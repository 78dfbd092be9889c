"""The way of a frame up to the match, timed: decode, detect, align, quality, embed, match.

Daemon and replay share it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from device.align import cut_out
from device.camera import Frame
from device.decide import Decision, Observation
from device.follow import Follower
from device.halves import Halves
from device.model import Active
from device.quality import assess, told
from device.stages import Stopwatch
from firmware_config.events import EventDetail

FRAMES_REMEMBERED: Final = 512
"""A refusal may be about a frame of VISIT_GAP_S + VOTE_SPAN_S ago: 360 frames at the most that settings allow."""


@dataclass(frozen=True)
class Seen:
    """What one frame shows. stage_ms: milliseconds by stage. quality: the gate's values by name. box: x, y, width,
    height of the face, pixels of the frame; None where there is none."""

    observation: Observation
    stage_ms: dict[str, float] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    box: tuple[float, float, float, float] | None = None


class Recent:
    """What the latest frames showed, for decisions that are about one of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[str, Seen]] = OrderedDict()

    def add(self, frame: Frame, seen: Seen) -> None:
        """The newest; the oldest beyond FRAMES_REMEMBERED goes."""
        self._kept[frame.sequence] = (frame.label, seen)
        while len(self._kept) > FRAMES_REMEMBERED:
            self._kept.popitem(last=False)

    def __getitem__(self, sequence: int) -> tuple[str, Seen]:
        """-> the frame's label and what it showed. sequence: the frame's."""
        return self._kept[sequence]


def look(frame: Frame, follower: Follower, active: Active, watch: Stopwatch | None = None) -> Seen:
    """One frame -> what the decider judges. The largest face counts; stages that are not reached have no time.

    follower: of this camera. watch: one that has just been started, for whoever wants more of it than stage_ms. Raises
    BadInput or BadState as the stages do: the caller denies.
    """
    watch = watch or Stopwatch()
    image = frame.image
    watch.lap("decode")
    halves = Halves(image)
    faces = follower.find(halves, frame.captured_at)
    watch.lap("detect")
    if not faces:
        return Seen(Observation(frame.captured_at, frame.sequence, None, None, face=False), watch.ms)
    crop = cut_out(halves, faces[0].landmarks)
    watch.lap("align")
    quality = assess(image, faces[0], crop, ranker=active.model.ranker)
    watch.lap("quality")
    match = None
    # A face below the gate is not compared at all: its distance would be noise that somebody might believe.
    if quality.reason is None and active.gallery is not None:
        embedding = active.encoder.embed(crop[np.newaxis])[0]
        watch.lap("embed")
        match = active.gallery.nearest(embedding)
        watch.lap("match")
    observation = Observation(frame.captured_at, frame.sequence, quality.reason, match, face=True)
    return Seen(observation, watch.ms, quality.values, faces[0].box)


def detail_of(decision: Decision, scene: str, seen: Seen, stage_ms: Mapping[str, float]) -> EventDetail:
    """What an event says of a decision. scene, seen: of its frame. stage_ms: that frame's, and what came after."""
    return EventDetail(
        person_id=decision.person_id,
        person=decision.name,
        distance=decision.distance,
        runner_up=decision.runner_up,
        quality=told(seen.quality),
        stage_ms={stage: round(took, 3) for stage, took in stage_ms.items()},
        scene=scene,
    )
