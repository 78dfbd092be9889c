"""What the loop keeps an eye on between frames, each change told once: the camera, the guard, and its own errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from device.camera import Camera
from device.decide import Decider
from device.guard import GuardState, guard_key, load_guard, save_guard
from device.journal import Journal
from device.seldom import Seldom
from firmware_config.events import EventDetail
from firmware_config.face import Reason
from firmware_config.files import drop_half_written
from firmware_config.keys import SecretKey

log = logging.getLogger("latchkey.lookout")

GUARD_FILE: Final = "guard.json"

HOUR_S: Final = 3600.0

ERROR_EVENT_S: Final = 10.0
"""Seconds between two internal_error events; every error is in the system's log."""

LOSSES_AN_HOUR: Final = 30
"""Losses of the camera that are told, each as it happens; more would say nothing new. A camera that is lost and back
with every picture would be 155,000 records a day. How it does now, each report of health says."""


class Lookout:
    """Notices of one door, on the loop's thread."""

    def __init__(
        self, state: Path, journal: Journal, door_key: SecretKey, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """state: the door's folder, where the guard is kept, sealed. clock: monotonic seconds."""
        self._guard_file = state / GUARD_FILE
        drop_half_written(state, GUARD_FILE)
        self._guard_key = guard_key(door_key)
        self._journal = journal
        self._clock = clock
        self._camera_well: bool | None = None  # as it was told
        self._errors_told = Seldom(ERROR_EVENT_S, clock)
        self._losses_told = Seldom(HOUR_S, clock, times=LOSSES_AN_HOUR)
        self.guarded = False

    def camera(self, camera: Camera) -> None:
        """Lost, and back; a camera that is still being opened is neither. Back is told when its loss was."""
        state = camera.state
        if state == "opening":
            return
        well, told_well = state == "ok", self._camera_well
        if well == told_well or not (well or self._losses_told.due(Reason.CAMERA_LOST)):
            return
        self._camera_well = well
        if not well:
            log.warning("No camera: %s", camera.why)
            self._journal.tell("notice", Reason.CAMERA_LOST)
        elif told_well is False:
            self._journal.tell("notice", "camera_back")

    def error(self, error: Exception) -> None:
        """One on the way of a frame: nothing was opened."""
        if self._errors_told.due(Reason.INTERNAL_ERROR):
            self._journal.tell("denied", Reason.INTERNAL_ERROR, EventDetail(by=type(error).__name__))

    def saved_guard(self) -> GuardState:
        """Where the guard stood when it last counted something."""
        return load_guard(self._guard_file, self._guard_key)

    def guard(self, decider: Decider) -> None:
        """Save what it counted, tell that it was raised."""
        now = self._clock()
        state = decider.take_guard_change(now)
        if state is not None:
            try:
                save_guard(self._guard_file, state, self._guard_key)
            except OSError as error:
                # It holds in memory; only a restart would forget it, and the journal's problem tells of the disk.
                log.warning("The guard cannot be saved: %s.", error)
        raised = decider.guard_raised(now)
        if raised and not self.guarded:
            log.warning("Near misses in quick succession: the guard is raised.")
            self._journal.tell("notice", "guard_raised")
        self.guarded = raised
