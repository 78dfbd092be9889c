"""The door's line to its lock on the broker: hearing that it lives, and the one way to ask it to open."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Final

from firmware_config.broker import Connection, Incoming
from firmware_config.face import Reason
from firmware_config.keys import CHALLENGE_PERIOD_S
from firmware_config.lockrule import sign_command
from firmware_config.messages import Challenge, LockState, MessageRefused, decode, encode
from firmware_config.pairing import DoorPairing

log = logging.getLogger("latchkey.lockline")

LOCK_SILENT_S: Final = 2 * CHALLENGE_PERIOD_S
"""Seconds. A challenge heard so long ago is refused by its lock, so saying `granted` on it would be a lie; and a
lock that missed two of its beats counts as gone."""

NEXT_CHALLENGE_S: Final = 0.25
"""How long an unlock waits for the lock's next challenge when the last one is used up: two unlocks within one
network round trip are a coincidence, and half the age that a frame may have."""

ANY_HOLD_MS: Final = 1000
"""Milliseconds. A command to lock carries a hold time too, which means nothing."""


@dataclass(frozen=True)
class _LockSeen:
    challenge: str
    at: float


class LockLine:
    """Commands to one lock. Methods may be called from any thread; none but `unlock` ever waits."""

    def __init__(self, pairing: DoorPairing, connection: Connection, clock: Callable[[], float]) -> None:
        """clock: monotonic seconds."""
        self.state: LockState | None = None
        """As the lock last said; None before it said anything."""
        self._pairing = pairing
        self._connection = connection
        self._clock = clock
        self._seen: _LockSeen | None = None
        self._used = ""
        self._new_challenge = threading.Condition()
        self._unlocking = threading.Lock()

    @property
    def last_used(self) -> str:
        """The lock's challenge that the last unlock carried."""
        return self._used

    @property
    def alive(self) -> bool:
        """True while the lock's challenges come in beat."""
        seen = self._seen
        return self._connection.connected and seen is not None and self._clock() - seen.at < LOCK_SILENT_S

    @property
    def ready(self) -> bool:
        """True while an unlock would go out at once."""
        return self.alive and self._unused() is not None

    def unlock(self, hold_ms: int, good_until: float = float("inf")) -> Reason | None:
        """Ask the lock to open, now or not at all: QoS 0, never retained, never queued; on the way it grows old too.

        hold_ms: 200 to 60000. good_until: monotonic seconds, when the evidence for it is too old; looked at last,
        after every wait. None: handed to the socket. LOCK_OFFLINE: no connection, or the lock is silent.
        STALE_FRAME: too late.
        """
        return self._command("unlock", hold_ms, good_until)

    def shut(self) -> Reason | None:
        """Ask the lock to end its hold, in the same way. None: handed to the socket. LOCK_OFFLINE as for `unlock`."""
        return self._command("lock", ANY_HOLD_MS, float("inf"))

    def _command(self, action: str, hold_ms: int, good_until: float) -> Reason | None:
        with self._unlocking:
            seen = self._fresh_challenge()
            if seen is None:
                return Reason.LOCK_OFFLINE
            topics, good_ms = self._pairing.topics, _good_ms(seen, good_until)
            command = encode(
                sign_command(self._pairing.lock_key, topics.door_id, action, seen.challenge, hold_ms, good_ms)
            )
            if self._clock() > good_until:
                return Reason.STALE_FRAME
            handed = self._connection.hand_over(topics["lock/command"], command)
            self._used = seen.challenge
            return None if handed else Reason.LOCK_OFFLINE

    def forget(self) -> None:
        """After a gap: what was heard before it was perhaps replayed during it."""
        with self._new_challenge:
            self._seen = None

    def hear_challenge(self, message: Incoming) -> None:
        """A beat of the lock. Called on the network thread, so that an unlock that waits gets it at once."""
        if message.retained:
            # The broker keeps the last challenge of a lock that has died. The living one renews it in a moment.
            return
        try:
            challenge = decode(Challenge, message.payload, message.topic).challenge
        except MessageRefused as refused:
            log.warning("%s", refused)
            return
        with self._new_challenge:
            self._seen = _LockSeen(challenge, self._clock())
            self._new_challenge.notify_all()

    def hear_state(self, message: Incoming) -> None:
        """LOCKED, UNLOCKED or JAMMED; anything else is said and forgotten."""
        try:
            self.state = LockState(message.payload.decode("ascii", "replace"))
        except ValueError:
            log.warning("%r is no state of a lock.", message.payload[:32])

    def _fresh_challenge(self) -> _LockSeen | None:
        if not self.alive:
            return None
        if (seen := self._unused()) is not None:
            return seen
        with self._new_challenge:
            return self._new_challenge.wait_for(self._unused, NEXT_CHALLENGE_S)

    def _unused(self) -> _LockSeen | None:
        seen = self._seen
        return seen if seen is not None and seen.challenge != self._used else None


def _good_ms(seen: _LockSeen, good_until: float) -> int | None:
    """At which age of the challenge evidence good until then (monotonic, s) is too old; None: it does not grow old."""
    if not isfinite(good_until):
        return None
    return max(0, min(int((good_until - seen.at) * 1000), int(LOCK_SILENT_S * 1000)))
