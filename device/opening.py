"""The one way to open: a grant at the camera, the page and Home Assistant all come through here."""

from __future__ import annotations

import logging
from typing import NamedTuple

from device.doorman import Doorman
from device.journal import Journal
from device.latch import Latch
from device.link import Link
from device.relay import RelayFault
from firmware_config.face import Reason

log = logging.getLogger("latchkey.opening")


class Opened(NamedTuple):
    """failed: why the lock could not be told; None: it was. begun, handed: monotonic, s."""

    failed: Reason | None
    begun: float
    handed: float


class Opener:
    """Opens, or says why not. Used on the loop's thread."""

    def __init__(self, link: Link, latch: Latch | None, journal: Journal, doorman: Doorman) -> None:
        """latch: the relay on this board, None where the lock is on the broker."""
        self._link = link
        self._latch = latch
        self._journal = journal
        self._doorman = doorman

    def open(self, hold_ms: int, good_until: float = float("inf")) -> Reason | None:
        """hold_ms: 200 to 60000. good_until: monotonic seconds, when the evidence for it is too old. None: done.

        INTERNAL_ERROR: the disk takes no records, and there is no memory for more of them. LOCK_OFFLINE: the lock
        or the relay does not answer. STALE_FRAME: the evidence grew old on the way.
        """
        if not self._journal.has_room:
            return Reason.INTERNAL_ERROR
        failed = self._let_go(hold_ms, good_until)
        if failed is None:
            self._doorman.permit(hold_ms)
        return failed

    def shut(self) -> Reason | None:
        """End a hold. None: done. LOCK_OFFLINE: the lock or the relay does not answer."""
        failed = self._hold()
        if failed is None:
            self._doorman.end_permit()
        return failed

    def _hold(self) -> Reason | None:
        if self._latch is None:
            return self._link.lock.shut()
        try:
            self._latch.shut()
        except RelayFault as fault:
            log.error("%s", fault)  # noqa: TRY400 - the sentence is the fact
            return Reason.LOCK_OFFLINE
        return None

    def _let_go(self, hold_ms: int, good_until: float) -> Reason | None:
        if self._latch is None:
            return self._link.lock.unlock(hold_ms, good_until)
        try:
            return None if self._latch.open(hold_ms, good_until) else Reason.STALE_FRAME
        except RelayFault as fault:
            log.error("%s", fault)  # noqa: TRY400 - the sentence is the fact
            return Reason.LOCK_OFFLINE
