"""Plain values of a threshold's evidence, and what is remembered of them for a moment."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from admin_ui.enrol import Known
from admin_ui.views import Curves, EventView, ThresholdView

BIN: Final = 0.02
"""Width of a bin of the door's own distances: forty over the slider's range."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stop:
    """A named place of the slider. fpir: the chance that its name stands for. chance: the one at tau, which is rounded
    to what the slider shows. limited: nothing stricter was measured, so it is less strict than its name."""

    name: str
    tau: float
    fpir: float
    chance: float
    limited: bool


@dataclass(frozen=True)
class Expected:
    """What a threshold means at one door, with 95 % intervals. strangers: let in, of PER_VISITS visits. members: of 100
    pictures, not recognised."""

    strangers: float
    strangers_between: tuple[float, float]
    members: float
    members_between: tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """The two people of one door who look most alike. distance: 0 to 2."""

    one: str
    other: str
    distance: float


@dataclass(frozen=True)
class Evidence:
    """Everything in one view. templates: all that a face is compared with. pair_tau: the threshold between two of them.
    undo: the threshold of before, None where there is none. since: aware, UTC, before which another encoder measured
    this door's visits, which are left out; None: nothing is. carried_by: the encoder that carries the list of the one
    in force, ""."""

    view: ThresholdView
    people: int
    templates: int
    pair: Pair | None
    pair_tau: float
    stops: tuple[Stop, ...]
    visits: int
    undo: float | None
    follows: bool
    since: datetime | None
    carried_by: str


@dataclass(frozen=True)
class Replay:
    """The visits of DAYS at another threshold. refused: were let in and would not be; admitted: the other way. Both the
    newest LISTED of so many."""

    tau: float
    visits: int
    refused: tuple[EventView, ...]
    refused_count: int
    admitted: tuple[EventView, ...]
    admitted_count: int


@dataclass(frozen=True)
class Visits:
    """The newest first. granted: bool. runner_up: NaN where there is none. since: Evidence.since."""

    ids: tuple[str, ...]
    distances: Doubles
    runner_up: Doubles
    granted: npt.NDArray[np.bool_]
    read_at: float
    since: datetime | None = None

    def bins(self) -> list[tuple[float, int, int]]:
        """Left edge, let in, refused; the empty ones are left out."""
        edges = np.arange(0.0, 2.0 + BIN, BIN)
        counts = [np.histogram(self.distances[mask], edges)[0] for mask in (self.granted, ~self.granted)]
        full = np.flatnonzero(counts[0] + counts[1])
        return [(float(edges[at]), int(counts[0][at]), int(counts[1][at])) for at in full]


@dataclass(frozen=True)
class Gallery:
    """What one list of a door holds. place: generation and encoder_id that it is of."""

    place: tuple[int, str]
    templates: int
    pair: Pair | None


class Remembered:
    """What was read or computed for doors a moment ago. Safe to use from any thread with its lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.visits: dict[str, Visits] = {}
        self.galleries: dict[str, Gallery] = {}
        self.curves: dict[str, tuple[float, float, Curves]] = {}
        """By the scale's key: lowest and highest distance, and what is drawn between them."""
        self.visits_read: set[str] = set()
        """Doors whose visits are being read anew behind somebody's back."""
        self.everybody: tuple[tuple[int, str], Sequence[Known]] | None = None
        """The last act and encoder_id that it is of, and everybody's open templates: in memory alone."""
