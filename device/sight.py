"""The way of a frame up to the match, timed: detect, align, quality, embed, match. Daemon and replay share it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from device.align import align
from device.camera import Frame
from device.decide import Observation
from device.detect import Detector
from device.model import Active
from device.quality import assess
from device.stages import Stopwatch


@dataclass(frozen=True)
class Seen:
    """What one frame shows. stage_ms: milliseconds by stage. quality: the gate's values by name."""

    observation: Observation
    stage_ms: dict[str, float] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)


def look(frame: Frame, detector: Detector, active: Active, watch: Stopwatch | None = None) -> Seen:
    """One frame -> what the decider judges. The largest face counts; stages that are not reached have no time.

    watch: one that has just been started, for whoever wants more of it than stage_ms. Raises BadInput or BadState as
    the stages do: the caller denies.
    """
    watch = watch or Stopwatch()
    faces = detector.detect(frame.image)
    watch.lap("detect")
    if not faces:
        return Seen(Observation(frame.captured_at, frame.sequence, None, None, face=False), watch.ms)
    crop = align(frame.image, faces[0].landmarks)
    watch.lap("align")
    quality = assess(frame.image, faces[0], crop, ranker=active.model.ranker)
    watch.lap("quality")
    match = None
    # A face below the gate is not compared at all: its distance would be noise that somebody might believe.
    if quality.reason is None and active.gallery is not None:
        embedding = active.encoder.embed(crop[np.newaxis])[0]
        watch.lap("embed")
        match = active.gallery.nearest(embedding)
        watch.lap("match")
    observation = Observation(frame.captured_at, frame.sequence, quality.reason, match, face=True)
    return Seen(observation, watch.ms, dict(quality.values))
