"""The guard against guessing: near misses in quick succession make the door stricter for a while, never shut.

It is raised for the person whom somebody nearly passes for, and for nobody else. Guessing goes for somebody, while
strangers who walk past resemble now this and now that one: with twenty people enrolled, the default encoder at a
false match rate of 1e-3 and a stranger every two seconds, one guard for all was up for 77 % of the time and kept
members out; docs/adr/0011 counts both.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from firmware_config.files import write_atomic
from firmware_config.keys import SEAL_MARK, SealRefused, SecretKey
from firmware_config.roster import Policy

log = logging.getLogger("latchkey.guard")

MAX_KEPT_MISSES: Final = 100
"""The highest `guard_misses` that a policy may ask for: older misses can never matter."""

UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
"""What JSON that is not a guard's raises, numbers of a thousand digits included."""

UNREADABLE_HOLD_S: Final = 3600.0
"""The longest `guard_hold_s` of a policy: what is assumed when the saved state cannot be read."""

SEALED_AS: Final = "latchkey-guard-1"


@dataclass(frozen=True)
class PersonGuard:
    """remaining_s: seconds that the guard stays raised for this person, 0 when it is down. misses_ago_s: how long ago
    each near miss was, seconds, oldest first."""

    remaining_s: float = 0.0
    misses_ago_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class GuardState:
    """What is saved. Durations instead of times of day: a wall clock that jumps, or a board without one, then
    neither lifts the guard early nor keeps it up for days. The price: time switched off does not count.

    remaining_s: seconds that it stays raised for everybody. people: by person's id.
    """

    remaining_s: float = 0.0
    people: dict[str, PersonGuard] = field(default_factory=dict)


@dataclass
class _Watched:
    until: float
    misses: list[float]


class Guard:
    """Counts near misses. Pure: `now` is monotonic seconds, handed in.

    Rules:
    - `guard_misses` near misses of one person within `guard_window_s` raise it for that person for `guard_hold_s`;
    - a near miss while it is raised counts like any other, so that guessing on prolongs it;
    - raised means `tau_strict` in place of `tau` for that person, nothing else: clear matches still open;
    - a restored state goes on where it was saved; one that could not be read is raised for everybody.
    """

    def __init__(self, state: GuardState, now: float) -> None:
        self._until = now + min(max(state.remaining_s, 0.0), UNREADABLE_HOLD_S)
        self._people = {
            person_id: _Watched(
                now + min(max(saved.remaining_s, 0.0), UNREADABLE_HOLD_S),
                [now - max(ago, 0.0) for ago in saved.misses_ago_s[-MAX_KEPT_MISSES:]],
            )
            for person_id, saved in state.people.items()
        }

    def raised(self, now: float) -> bool:
        """True while tau is at its strict stop for somebody."""
        return now < self._until or any(now < watched.until for watched in self._people.values())

    def raised_for(self, person_id: str, now: float) -> bool:
        """True while tau is at its strict stop for this person."""
        watched = self._people.get(person_id)
        return now < self._until or (watched is not None and now < watched.until)

    def near_miss(self, person_id: str, policy: Policy, now: float) -> None:
        """A visit ended refused that was just outside tau of this person."""
        self._forget(policy, now)
        watched = self._people.setdefault(person_id, _Watched(now, []))
        watched.misses = [*watched.misses, now][-MAX_KEPT_MISSES:]
        if len(watched.misses) >= policy.guard_misses:
            watched.until = max(watched.until, now + policy.guard_hold_s)
            watched.misses = []

    def state(self, now: float) -> GuardState:
        """What to save now."""
        people = {
            person_id: PersonGuard(max(watched.until - now, 0.0), tuple(now - at for at in watched.misses))
            for person_id, watched in self._people.items()
        }
        return GuardState(max(self._until - now, 0.0), people)

    def _forget(self, policy: Policy, now: float) -> None:
        """Whoever was neither missed nor guarded of late is not kept: the file on the disk names nobody for long."""
        for watched in self._people.values():
            watched.misses = [at for at in watched.misses if now - at < policy.guard_window_s]
        self._people = {who: watched for who, watched in self._people.items() if watched.misses or now < watched.until}


def save_guard(path: Path, state: GuardState, key: SecretKey) -> None:
    """key: guard_key(door_key); the file names people. Whole and on disk when this returns. Raises OSError."""
    write_atomic(path, key.seal(SEALED_AS, json.dumps(asdict(state)).encode()))


def load_guard(path: Path, key: SecretKey) -> GuardState:
    """The saved state; none yet: down. What cannot be read counts as raised: damaging a file must not lift it."""
    try:
        data = path.read_bytes()
        # Files of the release before this one are plain and know of no people; its guard was one for everybody.
        saved = json.loads(key.open(SEALED_AS, data) if data.startswith(SEAL_MARK) else data)
        people = {str(who): _person(kept) for who, kept in saved.get("people", {}).items()}
        return GuardState(_seconds(saved["remaining_s"]), people)
    except FileNotFoundError:
        return GuardState()
    except (OSError, SealRefused, *UNREADABLE) as error:
        log.warning("%s cannot be read (%s): the guard is taken as raised.", path, error)
        return GuardState(remaining_s=UNREADABLE_HOLD_S)


def guard_key(door_key: SecretKey) -> SecretKey:
    """The key that the saved guard is sealed with."""
    return door_key.derive("door-guard")


def _person(kept: dict[str, Any]) -> PersonGuard:
    return PersonGuard(_seconds(kept["remaining_s"]), tuple(_seconds(ago) for ago in kept["misses_ago_s"]))


def _seconds(value: object) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number of seconds")
    return float(value)
