"""Plain values that the office hands to whoever shows them: the page's tabs and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from firmware_config.calibration import OperatingPoint
from firmware_config.errors import BadInput, LostLink
from firmware_config.face import FloatArray, ImageArray
from firmware_config.messages import Health

STATE_UNKNOWN: Final = "unknown"
"""What a lock's state is called before the lock has said anything."""


class LooksLike(BadInput):
    """The same face is enrolled under another name. Confirming it (twins do exist) enrols all the same."""

    def __init__(self, name: str, distance: float, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name
        self.distance = distance


class DoorOffline(LostLink):
    """The door, or the broker on the way to it, cannot be reached. Nothing was changed."""


@dataclass(frozen=True)
class Verdict:
    """What was found in a photo. `ok`: good enough to enrol. `sentences`: what was found, or what is wrong and
    what to do, each a whole sentence, at least one.

    box: x, y, width, height in pixels of the upright photo. crop: uint8[112, 112, 3] RGB, as the door sees the
    face. embedding: float32[128], unit. values: what the quality gate measured, by name.
    """

    ok: bool
    sentences: tuple[str, ...]
    box: tuple[float, float, float, float] | None = None
    crop: ImageArray | None = None
    embedding: FloatArray | None = None
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PersonView:
    """One enrolled person. Times are aware, UTC. `doors`: names of the doors they may use, sorted."""

    id: str
    name: str
    doors: tuple[str, ...]
    created: datetime
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True)
class DoorView:
    """One door as the page knows it now.

    generation: what the page has published; applied_generation: what the door says it runs, 0 before it said
    anything. lock: LOCKED, UNLOCKED, JAMMED or unknown. refused: the door's last refusal as a sentence, or "".
    problems: whole sentences, worst first, empty when all is well. health: None before the door said anything.
    """

    name: str
    online: bool
    generation: int
    applied_generation: int
    people: int
    encoder_id: str
    model_version: str
    tau: float
    lock: str
    refused: str
    problems: tuple[str, ...]
    health: Health | None = None

    @property
    def in_step(self) -> bool:
        """True when the door runs the newest roster."""
        return self.applied_generation == self.generation


@dataclass(frozen=True)
class EventView:
    """One event of a door, as stored. at: aware, UTC. outcome: granted, denied or notice. sentence: the reason
    for a person. distance, runner_up: 0 to 2 or None. by, why: who asked for a remote unlock, and what for.
    stage_ms: milliseconds by stage of the way of a frame. scene: label of a demo frame, else ""."""

    id: str
    door: str
    at: datetime
    outcome: str
    reason: str
    sentence: str
    person: str = ""
    distance: float | None = None
    runner_up: float | None = None
    by: str = ""
    why: str = ""
    scene: str = ""
    stage_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DoorNews:
    """What became of a change at one door. sent: handed to the broker; otherwise the door will learn of it as
    soon as the link is back. sentence: the same for a person."""

    door: str
    generation: int
    sent: bool
    sentence: str


@dataclass(frozen=True)
class Change:
    """Something was changed and saved. sentence: what, for a person. news: one entry for each door it touches."""

    sentence: str
    news: tuple[DoorNews, ...] = ()
    person: PersonView | None = None


@dataclass(frozen=True)
class ThresholdView:
    """The evidence behind one door's threshold.

    tau, tau_strict: distances, 0 to 2. low, high, step: the slider's range. taus, fmr, fnmr: float[N], the
    curves to draw (per comparison of two photos; FMR may be 0 where nothing was counted). points: the
    calibration's own operating points with intervals. recent: (distance, outcome) of this door's newest events.
    source: what the curves were measured on, a sentence.
    """

    door: str
    tau: float
    tau_strict: float
    low: float
    high: float
    step: float
    taus: tuple[float, ...]
    fmr: tuple[float, ...]
    fnmr: tuple[float, ...]
    points: tuple[OperatingPoint, ...]
    recent: tuple[tuple[float, str], ...]
    source: str


@dataclass(frozen=True)
class UnlockAnswer:
    """What a door said to a remote unlock. reason: a code, "" when ok; sentence: for a person."""

    ok: bool
    reason: str
    sentence: str
