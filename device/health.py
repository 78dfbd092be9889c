"""How the door does, in numbers for the page and in one line for `systemctl status`."""

from __future__ import annotations

import time
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from device.camera import Camera
from device.doorman import Doorman
from device.journal import Journal
from device.latch import Latch
from device.link import Link
from device.roster import Holdings
from device.stages import StageRing
from firmware_config.messages import Health, LockState

EVERY_S: Final = 5.0
"""Seconds between two reports when nothing changes."""

SILENT: Final = "offline"
"""Health.lock while no challenge comes from the lock."""

THERMAL: Final = Path("/sys/class/thermal/thermal_zone0/temp")
"""Millidegrees Celsius of the SoC on a Raspberry Pi and on a Jetson."""


@lru_cache
def software_version() -> str:
    """The installed package's version; "source" in a tree that is not installed."""
    try:
        return version("latchkey")
    except PackageNotFoundError:
        return "source"


def temperature_c(path: Path = THERMAL) -> float | None:
    """Degrees Celsius, None on a board that does not say."""
    try:
        return int(path.read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None


class Reporter:
    """Says when a report is due: at a change of what a person would act on, at a connection, and every EVERY_S."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] = ()
        self._said_at = float("-inf")

    def due(self, health: Health, now: float, *, unsaid: bool) -> bool:
        """now: monotonic seconds. unsaid: nobody who listens now has heard one. True: say it now."""
        facts = (
            health.encoder_id,
            health.generation,
            health.camera,
            health.lock,
            health.contact,
            health.forced_open,
            health.held_open,
            health.guard,
            tuple(health.problems),
        )
        if facts == self._last and not unsaid and now - self._said_at < EVERY_S:
            return False
        self._last, self._said_at = facts, now
        return True


def with_measures(health: Health, times: StageRing, resting: bool) -> Health:
    """A report that is due, with what takes longer to find out: percentiles and the board's temperature."""
    spread = times.spread()
    measures = {
        "stage_ms": {stage: found.p50 for stage, found in spread.items()},
        "stage_p95_ms": {stage: found.p95 for stage, found in spread.items()},
        "resting": resting,
        "temperature_c": temperature_c(),
    }
    return health.model_copy(update=measures)


def status_line(health: Health) -> str:
    """For systemd: what is wrong first."""
    if health.problems:
        return " ".join(health.problems)
    return f"Watching for {health.people} people at {health.fps:.0f} frames/s; lock {health.lock}."


def examine(
    holdings: Holdings,
    camera: Camera,
    link: Link,
    latch: Latch | None,
    journal: Journal,
    doorman: Doorman,
    times: StageRing,
    guarded: bool,
) -> Health:
    """How every part does, now, for so little that it is asked with every frame.

    latch: the relay on this board, None where the lock is on the broker. Raises BadState when the outbox cannot
    be read.
    """
    active = holdings.active
    lock = _lock_state(link, latch)
    camera_why = camera.why
    found = [journal.problem, *holdings.problems, camera_why]
    if not link.connected:
        found.append(f"No broker: {link.connection.why_down}.")
    elif unheard := link.connection.unheard:
        found.append(unheard)
    elif lock == SILENT:
        found.append("The lock does not answer; look at its power.")
    if lock == LockState.JAMMED.value:
        found.append("The lock is jammed; look at the strike and at the relay.")
    found += doorman.problems()
    if active.roster is None:
        found.append("This door knows nobody yet; enrol somebody in the admin page.")
    return Health(
        software=software_version(),
        encoder_id=active.manifest.encoder_id,
        model_version=active.manifest.version,
        generation=holdings.generation,
        people=len(active.roster.people) if active.roster else 0,
        fps=times.fps(time.monotonic()),
        camera=camera.state,
        camera_why=camera_why,
        lock=lock,
        contact=doorman.watch.contact,
        forced_open=doorman.watch.forced_open,
        held_open=doorman.watch.held_open,
        outbox=journal.unsent,
        guard=guarded,
        audit_seq=journal.head.count,
        audit_head=journal.head.hash if journal.head.count else "",
        problems=[sentence for sentence in found if sentence],
    )


def _lock_state(link: Link, latch: Latch | None) -> str:
    if latch is not None:
        return latch.state.value
    said = link.lock.state
    return said.value if said is not None and link.lock.alive else SILENT
