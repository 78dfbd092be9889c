"""Plain values that the office hands to whoever shows them: the page's tabs and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

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


class LooksUnlike(BadInput):
    """A further photo of somebody does not look like those that are there. Confirming it adds it all the same."""


class Edited(BadInput):
    """Somebody else changed this person since they were read."""


class TextChanged(BadInput):
    """The text that somebody agreed to is not the one in force (any more)."""


class ComesAgain(BadInput):
    """Another encoder would leave these people out until they are enrolled again. Confirming it ships all the same."""

    def __init__(self, names: list[str]) -> None:
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        super().__init__(
            f"No photo is kept of {len(names)} people, so for another encoder they have to be enrolled again, and no "
            f"door knows them until then: {shown}. Nothing was changed."
        )
        self.names = names


class DoorOffline(LostLink):
    """The door, or the broker on the way to it, cannot be reached. Nothing was changed."""


@dataclass(frozen=True)
class Verdict:
    """What was found in a photo. `ok`: good enough to enrol. `sentences`: what was found, or what is wrong and
    what to do, each a whole sentence, at least one.

    upright: uint8[H, W, 3] BGR, the photo as it was looked at. box: x, y, width, height in its pixels. landmarks:
    float32[5, 2], the same pixels. crop: uint8[112, 112, 3] RGB, as the door sees the
    face. embedding: float32[128], unit. values: what the quality gate measured, by name.
    """

    ok: bool
    sentences: tuple[str, ...]
    box: tuple[float, float, float, float] | None = None
    crop: ImageArray | None = None
    embedding: FloatArray | None = None
    values: dict[str, float] = field(default_factory=dict)
    upright: ImageArray | None = None
    landmarks: FloatArray | None = None


@dataclass(frozen=True)
class Glance:
    """What a picture of the webcam shows, for a moment. width, height: pixels of the picture that was looked at. box,
    landmarks: float32[5, 2] or float32[0, 2], in its pixels. good: a photo of now would be good to enrol. sentence: so,
    or what to do."""

    width: int
    height: int
    good: bool
    sentence: str
    box: tuple[float, float, float, float] | None = None
    landmarks: FloatArray = field(default_factory=lambda: np.empty((0, 2), np.float32))


@dataclass(frozen=True)
class Likeness:
    """Who of the enrolled looks most like a face. distance: 0 to 2. same: near enough to ask whether it is them."""

    person_id: str
    name: str
    distance: float
    same: bool

    @property
    def sentence(self) -> str:
        """For whoever enrols."""
        if self.same:
            return f"This looks like {self.name}, distance {self.distance:.2f}: the same person?"
        return f"This looks like nobody who is enrolled; the nearest, {self.name}, is at distance {self.distance:.2f}."


@dataclass(frozen=True)
class PersonView:
    """One enrolled person. Times are aware, UTC. `doors`: names of the doors they may use, sorted. consent_version: 0
    where none was recorded. photos: templates of so many; kept: there is a crop to look at. revision: hand it back with
    an edit."""

    id: str
    name: str
    doors: tuple[str, ...]
    created: datetime
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    suspended: bool = False
    consent_at: datetime | None = None
    consent_version: int = 0
    photos: int = 1
    kept: bool = False
    revision: int = 1


@dataclass(frozen=True)
class PeopleQuery:
    """Which people, in which order. state: "" or one of people.STATES; order: one of people.ORDERS."""

    text: str = ""
    door: str = ""
    state: str = ""
    order: str = "name"
    limit: int = 100


@dataclass(frozen=True)
class DoorView:
    """One door as the page knows it now.

    generation: what the page has published; applied_generation: what the door says it runs, 0 before it said
    anything. lock: LOCKED, UNLOCKED, JAMMED or unknown. refused: the door's last refusal as a sentence, or "".
    problems: whole sentences, worst first, empty when all is well. health: None before the door said anything.
    notes: whole sentences about what is as it should be and worth knowing.
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
    locked_down: bool = False
    notes: tuple[str, ...] = ()

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
class Curves:
    """Each float[161], for one comparison (ISO/IEC 19795-1); bands: 95 % intervals, one for each of taus."""

    taus: tuple[float, ...]
    fmr: tuple[float, ...]
    fnmr: tuple[float, ...]
    fmr_band: tuple[tuple[float, float], ...]
    fnmr_band: tuple[tuple[float, float], ...]


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
    fmr_band: tuple[tuple[float, float], ...] = ()
    fnmr_band: tuple[tuple[float, float], ...] = ()
    """95 % intervals, one for each of taus."""
    visits: tuple[tuple[float, int, int], ...] = ()
    """Bins of the door's own distances: left edge, let in, refused."""


@dataclass(frozen=True)
class UnlockAnswer:
    """What a door said to a remote unlock. reason: a code, "" when ok; sentence: for a person."""

    ok: bool
    reason: str
    sentence: str
