"""The door's side of the broker: what it says, what it listens to, and the one way to ask the lock to open.

Only lock/challenge is taken on the network thread (one attribute, always the newest). Everything else goes into
`inbox`, which the loop drains between frames: rosters, models, acknowledgements and asks never interrupt a frame.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from firmware_config.broker import Connection, Incoming, Will
from firmware_config.errors import BadInput
from firmware_config.face import Reason
from firmware_config.keys import CHALLENGE_PERIOD_S, ChallengeBook
from firmware_config.lockrule import sign_command
from firmware_config.messages import (
    OFFLINE,
    ONLINE,
    Answer,
    Applied,
    Ask,
    Challenge,
    Event,
    Health,
    Hint,
    LockState,
    MessageRefused,
    decode,
    encode,
    seal,
    unseal,
)
from firmware_config.pairing import DoorPairing

log = logging.getLogger("latchkey.link")

LOCK_SILENT_S: Final = 2 * CHALLENGE_PERIOD_S
"""Seconds. A challenge heard so long ago is refused by its lock, so saying `granted` on it would be a lie; and a
lock that missed two of its beats counts as gone."""

NEXT_CHALLENGE_S: Final = 0.25
"""How long an unlock waits for the lock's next challenge when the last one is used up: two unlocks within one
network round trip are a coincidence, and half the age that a frame may have."""

INBOX_MESSAGES: Final = 256
"""Messages that wait for the loop; more than this means the loop hangs or somebody floods the topics."""

HINTS: Final = {
    Reason.GRANTED: Hint.WELCOME,
    Reason.TOO_SMALL: Hint.COME_CLOSER,
    Reason.TOO_DARK: Hint.TOO_DARK,
    Reason.TURNED_AWAY: Hint.LOOK_HERE,
    Reason.BLURRED: Hint.LOOK_HERE,
}
"""Reasons that whoever stands there can do something about."""

DOOR_SUBSCRIPTIONS: Final = (
    ("roster", 1),
    ("model", 1),
    ("event/ack", 1),
    ("ask", 0),
    ("lock/challenge", 1),
    ("lock/state", 1),
    ("lock/result", 1),
)


@dataclass(frozen=True)
class _LockSeen:
    challenge: str
    at: float


class Link:
    """A door on the broker. All methods may be called from any thread; none but `unlock` ever waits."""

    def __init__(self, pairing: DoorPairing, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: monotonic seconds. Raises BadState for unreadable broker secrets."""
        self.topics = pairing.topics
        self.inbox: queue.Queue[Incoming] = queue.Queue(INBOX_MESSAGES)
        self.lock_state: LockState | None = None
        """As the lock last said; None before it said anything."""
        self._pairing = pairing
        self._clock = clock
        self._book = ChallengeBook(clock())
        self._lock_seen: _LockSeen | None = None
        self._used = ""
        self._new_challenge = threading.Condition()
        self._unlocking = threading.Lock()
        self._hinted: Hint | None = None
        self._said: dict[str, bytes] = {}
        self.connection = Connection(
            pairing.broker,
            f"latchkey-door-{self.topics.site}-{self.topics.door}",
            subscriptions=[(self.topics[leaf], qos) for leaf, qos in DOOR_SUBSCRIPTIONS],
            on_message=self._receive,
            on_connected=self._connected,
            will=Will(self.topics["availability"], OFFLINE),
        )

    def start(self) -> None:
        """Return at once; the connection comes when the broker does."""
        self.connection.start()

    def stop(self) -> None:
        """Say offline and disconnect."""
        self.connection.stop(Will(self.topics["availability"], OFFLINE))

    @property
    def last_used(self) -> str:
        """The lock's challenge that the last unlock carried."""
        return self._used

    @property
    def connected(self) -> bool:
        return self.connection.connected

    @property
    def lock_alive(self) -> bool:
        """True while the lock's challenges come in beat."""
        seen = self._lock_seen
        return self.connected and seen is not None and self._clock() - seen.at < LOCK_SILENT_S

    def beat(self) -> None:
        """Renew the door's own challenge when it is due. Called by the loop."""
        if self._book.due(self._clock()):
            self._book.rotate(self._clock())
            self._say_challenge()

    def unlock(self, hold_ms: int) -> Reason | None:
        """Ask the lock to open, now or not at all: QoS 0, never retained, never queued.

        hold_ms: 200 to 60000. None: handed to the socket. LOCK_OFFLINE: no connection, or the lock is silent.
        """
        with self._unlocking:
            challenge = self._fresh_challenge()
            if challenge is None:
                return Reason.LOCK_OFFLINE
            command = sign_command(self._pairing.lock_key, self.topics.door_id, "unlock", challenge, hold_ms)
            handed = self.connection.publish(self.topics["lock/command"], encode(command), qos=0)
            self._used = challenge
            return None if handed else Reason.LOCK_OFFLINE

    def say_health(self, health: Health) -> None:
        """Retained; said again at every reconnection."""
        self._say("health", encode(health))

    def say_applied(self, applied: Applied) -> None:
        """Retained; said again at every reconnection."""
        self._say("applied", encode(applied))

    def say_hint(self, reason: Reason | None) -> None:
        """For a display or a buzzer: what to do about `reason`, once until there is something else to say."""
        hint = HINTS.get(reason) if reason is not None else None
        if hint is not None and hint is not self._hinted:
            self.connection.publish(self.topics["hint"], hint.value.encode(), qos=0)
        self._hinted = hint

    def say_event(self, event: Event) -> bool:
        """False: not sent; the outbox keeps it."""
        return self.connection.publish(self.topics["event"], encode(event))

    def take_ask(self, message: Incoming) -> Ask | None:
        """An ask that is fresh, unused and sealed with this door's key; anything else is refused here.

        A refused ask that opens gets a sealed answer; one that does not open gets none: whoever sent it has not
        the key to read it.
        """
        if message.retained:
            log.warning("A retained ask is refused: it may be from any time.")
            return None
        try:
            ask = unseal(self._pairing.door_key, self.topics["ask"], Ask, message.payload)
        except BadInput as refused:
            log.warning("An ask is refused: %s", refused)
            return None
        refusal = self._book.take(ask.challenge, self._clock())
        self._say_challenge()
        if refusal is None:
            return ask
        log.warning("An ask by %s is refused: %s", ask.by, refusal.sentence)
        self.answer(Answer(id=ask.id, ok=False, reason=refusal.code, sentence=refusal.sentence))
        return None

    def answer(self, answer: Answer) -> None:
        """Sealed for the page."""
        topic = self.topics["answer"]
        self.connection.publish(topic, seal(self._pairing.door_key, topic, answer), qos=0)

    def _fresh_challenge(self) -> str | None:
        def usable() -> bool:
            seen = self._lock_seen
            return seen is not None and seen.challenge != self._used

        if not self.lock_alive:
            return None
        with self._new_challenge:
            if not self._new_challenge.wait_for(usable, NEXT_CHALLENGE_S):
                return None
            return self._lock_seen.challenge if self._lock_seen else None

    def _say(self, leaf: str, payload: bytes) -> None:
        self._said[leaf] = payload
        self.connection.publish(self.topics[leaf], payload, retain=True)

    def _say_challenge(self) -> None:
        payload = encode(Challenge(challenge=self._book.current))
        self.connection.publish(self.topics["challenge"], payload, retain=True)

    def _connected(self) -> None:
        with self._new_challenge:
            # Heard before the gap, so perhaps replaced during it.
            self._lock_seen = None
        self.connection.publish(self.topics["availability"], ONLINE, retain=True)
        self._say_challenge()
        for leaf, payload in list(self._said.items()):
            self.connection.publish(self.topics[leaf], payload, retain=True)

    def _receive(self, message: Incoming) -> None:
        leaf = message.topic.removeprefix(self.topics[""])
        if leaf == "lock/challenge":
            self._take_lock_challenge(message)
            return
        if leaf == "lock/state":
            self._take_lock_state(message)
        try:
            self.inbox.put_nowait(message)
        except queue.Full:
            log.error("The loop does not keep up: a message on %s is dropped.", message.topic)  # noqa: TRY400

    def _take_lock_challenge(self, message: Incoming) -> None:
        if message.retained:
            # The broker keeps the last challenge of a lock that has died. The living one renews it in a moment.
            return
        try:
            challenge = decode(Challenge, message.payload, message.topic).challenge
        except MessageRefused as refused:
            log.warning("%s", refused)
            return
        with self._new_challenge:
            self._lock_seen = _LockSeen(challenge, self._clock())
            self._new_challenge.notify_all()

    def _take_lock_state(self, message: Incoming) -> None:
        try:
            self.lock_state = LockState(message.payload.decode("ascii", "replace"))
        except ValueError:
            log.warning("%r is no state of a lock.", message.payload[:32])
