"""The guard against guessing: near misses in quick succession make the door stricter for a while, never shut."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from firmware_config.files import write_atomic
from firmware_config.roster import Policy

log = logging.getLogger("latchkey.guard")

MAX_KEPT_MISSES: Final = 100
"""The highest `guard_misses` that a policy may ask for: older misses can never matter."""

UNREADABLE_HOLD_S: Final = 3600.0
"""The longest `guard_hold_s` of a policy: what is assumed when the saved state cannot be read."""


@dataclass(frozen=True)
class GuardState:
    """What is saved. Durations instead of times of day: a wall clock that jumps, or a board without one, then
    neither lifts the guard early nor keeps it up for days. The price: time switched off does not count.

    remaining_s: seconds that the guard stays raised, 0 when it is down.
    misses_ago_s: how long ago each near miss was, seconds, oldest first.
    """

    remaining_s: float = 0.0
    misses_ago_s: tuple[float, ...] = ()


class Guard:
    """Counts near misses. Pure: `now` is monotonic seconds, handed in.

    Rules:
    - `guard_misses` near misses within `guard_window_s` raise it for `guard_hold_s`;
    - a near miss while it is raised counts like any other, so that guessing on prolongs it;
    - raised means `tau_strict` in place of `tau`, nothing else: clear matches still open;
    - a restored state goes on where it was saved.
    """

    def __init__(self, state: GuardState, now: float) -> None:
        self._until = now + min(max(state.remaining_s, 0.0), UNREADABLE_HOLD_S)
        self._misses = [now - max(ago, 0.0) for ago in state.misses_ago_s[-MAX_KEPT_MISSES:]]

    def raised(self, now: float) -> bool:
        """True while tau is at its strict stop."""
        return now < self._until

    def near_miss(self, policy: Policy, now: float) -> None:
        """A visit ended refused, just outside tau."""
        self._misses = [at for at in self._misses if now - at < policy.guard_window_s]
        self._misses = [*self._misses, now][-MAX_KEPT_MISSES:]
        if len(self._misses) >= policy.guard_misses:
            self._until = max(self._until, now + policy.guard_hold_s)
            self._misses = []

    def state(self, now: float) -> GuardState:
        """What to save now."""
        return GuardState(max(self._until - now, 0.0), tuple(now - at for at in self._misses))


def save_guard(path: Path, state: GuardState) -> None:
    """Whole and on disk when this returns. Raises OSError."""
    write_atomic(path, json.dumps(asdict(state)).encode())


def load_guard(path: Path) -> GuardState:
    """The saved state; none yet: down. What cannot be read counts as raised: damaging a file must not lift it."""
    try:
        saved = json.loads(path.read_bytes())
        return GuardState(_seconds(saved["remaining_s"]), tuple(_seconds(ago) for ago in saved["misses_ago_s"]))
    except FileNotFoundError:
        return GuardState()
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read (%s): the guard is taken as raised.", path, error)
        return GuardState(remaining_s=UNREADABLE_HOLD_S)


def _seconds(value: object) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number of seconds")
    return float(value)
