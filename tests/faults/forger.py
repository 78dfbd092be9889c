"""Whoever hears every command and can publish any, but has not the lock's key: eight ways to make a lock open.

The same attacks go to the rule itself, with time handed in, and to a real lock behind a real broker. None may open.
In between the door's own commands go the same way and have to: "0 opened" would also be said of a lock that is off.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Protocol

from firmware_config.keys import SecretKey
from firmware_config.lockrule import sign_command
from firmware_config.messages import Topics, encode

TOPICS = Topics("home", "front")
OTHER = Topics("home", "back")
KEY = SecretKey(bytes(range(32)))
OTHER_KEY = SecretKey(bytes(range(1, 33)))

DEAD_MS = 4_004
"""After so long the oldest challenge that a lock may still know is too old: two periods (firmware_config/keys.py)."""
REMEMBERED = 2_000
"""Commands once obeyed that are kept for replaying."""
SHORTEST_HOLD_MS = 200


class Target(Protocol):
    """A lock under attack."""

    @property
    def challenge(self) -> str:
        """The newest that it has given."""

    def wait(self, ms: int) -> None:
        """Time goes by."""

    def rest(self) -> None:
        """Until the bolt is back, where that costs no time."""

    def restart(self) -> None:
        """As after a power cut."""

    def catch_up(self) -> None:
        """Until all that was delivered has been judged, and what followed from it is known: an attack that comes too
        late spends its challenge, and the lock gives another."""

    def come_back_to(self, payload: bytes) -> None:
        """An attack too: it was away from the broker, where this was stored, retained, meanwhile."""

    def attack(self, payload: bytes) -> None:
        """Deliver what must not open."""

    def control(self, payload: bytes) -> bool:
        """Deliver a lawful command. True: it has opened, and so all before it has been judged."""


class Forger:
    """One method a kind of attack: a bout of so many, which ends with a lawful command.

    tried: kind -> attacks delivered. lawful, unopened: lawful commands delivered, and those that did not open.
    """

    def __init__(self, lock: Target, draw: random.Random, longest_wait_ms: int) -> None:
        """longest_wait_ms: of a delayed command."""
        self._lock, self._draw, self._longest_wait_ms = lock, draw, longest_wait_ms
        self._spent: deque[bytes] = deque(maxlen=REMEMBERED)
        self.tried: Counter[str] = Counter()
        self.lawful = 0
        self.unopened = 0

    @property
    def kinds(self) -> Mapping[str, Callable[[int], None]]:
        """Name -> a bout of this many attacks."""
        return {
            "replayed": self._replayed,
            "delayed": self._delayed,
            "retained": self._retained,
            "reordered": self._reordered,
            "duplicated": self._duplicated,
            "bit-flipped": self._bit_flipped,
            "another door's": self._of_another_door,
            "before a restart": self._from_before_a_restart,
        }

    def bout(self, kind: str, count: int) -> None:
        """`count` attacks of a kind, and then a lawful command."""
        self._lock.rest()
        self.kinds[kind](count)
        self.tried[kind] += count
        self._lock.catch_up()
        self._lawful(self._fresh())

    def _fresh(self, good_ms: int | None = None) -> bytes:
        """What the door would send now: good once."""
        hold_ms = self._draw.randrange(SHORTEST_HOLD_MS, 60_001)
        return encode(sign_command(KEY, TOPICS.door_id, "unlock", self._lock.challenge, hold_ms, good_ms))

    def _lawful(self, payload: bytes) -> None:
        self.lawful += 1
        self.unopened += not self._lock.control(payload)
        self._spent.append(payload)

    def _replayed(self, count: int) -> None:
        if not self._spent:
            self._lawful(self._fresh())
        for payload in self._draw.choices(self._spent, k=count):
            self._lock.attack(payload)

    def _delayed(self, count: int) -> None:
        if self._draw.random() < 0.5:
            late = [self._fresh(self._draw.choice((None, 4000))) for _ in range(count)]
            self._lock.wait(self._draw.randrange(DEAD_MS, self._longest_wait_ms))
        else:
            # Their challenge may still be good; what they stand on is not.
            late = [self._fresh(self._draw.randrange(500)) for _ in range(count)]
            self._lock.wait(self._draw.randrange(511, 3_500))
        for payload in late:
            self._lock.attack(payload)

    def _retained(self, count: int) -> None:
        for _ in range(count):
            self._lock.come_back_to(self._fresh())

    def _reordered(self, count: int) -> None:
        """The newest overtakes those before it, whose evidence has grown old meanwhile."""
        held_up: list[bytes] = []
        while len(held_up) < count:
            held_up += [self._fresh(self._draw.randrange(200, 500)) for _ in range(min(8, count - len(held_up)))]
            self._lock.wait(self._draw.randrange(511, 900))
        self._lawful(self._fresh(4000))
        self._draw.shuffle(held_up)
        for payload in held_up:
            self._lock.attack(payload)

    def _duplicated(self, count: int) -> None:
        while count > 0:
            payload = self._fresh()
            self._lawful(payload)
            copies = min(count, self._draw.randrange(1, 5))
            for _ in range(copies):
                self._lock.attack(payload)
            count -= copies

    def _bit_flipped(self, count: int) -> None:
        payload = self._fresh(self._draw.choice((None, 4000)))
        for _ in range(count):
            flipped = bytearray(payload)
            for position in self._draw.sample(range(8 * len(payload)), self._draw.choice((1, 1, 1, 2, 3, 8))):
                flipped[position // 8] ^= 1 << position % 8
            self._lock.attack(bytes(flipped))
        # Whoever flips bits must not be able to spend the challenges of the door.
        self._lawful(payload)

    def _of_another_door(self, count: int) -> None:
        """With this lock's own challenge: as it comes, with the name put right, and where two doors share a key."""
        for _ in range(count):
            key = self._draw.choice((KEY, OTHER_KEY))
            hold_ms = self._draw.randrange(SHORTEST_HOLD_MS, 60_001)
            command = sign_command(key, OTHER.door_id, "unlock", self._lock.challenge, hold_ms)
            if self._draw.random() < 0.5:
                command = command.model_copy(update={"door": TOPICS.door_id})
            self._lock.attack(encode(command))

    def _from_before_a_restart(self, count: int) -> None:
        unsent = [self._fresh() for _ in range(count)]
        self._lock.restart()
        for payload in unsent:
            self._lock.attack(payload)


def attack_by_turns(forger: Forger, draw: random.Random, count: int, longest: Mapping[str, int]) -> None:
    """`count` attacks in bouts, the kinds by turns. longest: kind -> attacks in one bout at most, for all kinds."""
    share = max(1, count // len(longest))
    while count > 0:
        for kind in draw.sample(list(longest), len(longest)):
            size = min(longest[kind], share, count)
            if size:
                forger.bout(kind, size)
            count -= size
