"""The office's side of the broker: what the doors say, and what is sent to them.

States and challenges are taken on the network thread into one record per door; everything that touches the store
goes through a queue to one worker, so that a slow disk never costs the connection.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from admin_ui.keyring import DoorKeys
from admin_ui.views import STATE_UNKNOWN, DoorOffline
from firmware_config.broker import Connection, Incoming
from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.keys import CHALLENGE_PERIOD_S
from firmware_config.messages import (
    ONLINE,
    SMALL,
    Answer,
    Applied,
    Ask,
    Challenge,
    Event,
    EventAck,
    Health,
    LockState,
    Topics,
    decode,
    encode,
    seal,
    unseal,
)
from firmware_config.settings import BrokerSettings

log = logging.getLogger("latchkey.page.link")

ANSWER_TIMEOUT_S: Final = 3.0
"""A door answers within a frame; three seconds is what a person at the page waits before trying again."""
CHALLENGE_WAIT_S: Final = CHALLENGE_PERIOD_S + 0.5
"""A living door renews its challenge within this."""
TRY_AGAIN: Final = ("spent_challenge", "stale_challenge")
"""Refusals that mean: somebody was faster, or the network slower, than the challenge. Nothing was opened."""
QUEUE_MESSAGES: Final = 10_000
"""Messages that wait for the store; doors send again what was not acknowledged."""
LARGEST: Final = 2 * SMALL
"""Bytes: all that a door says is SMALL, sealed or not. Checked before it waits: one door that went bad must not take
the page's memory with QUEUE_MESSAGES of whatever size the broker lets through."""
LEAVES: Final = ("availability", "health", "applied", "event", "challenge", "answer", "lock/state")
RETAINED: Final = (
    *("roster", "model", "availability", "health", "applied", "challenge"),
    *("lock/challenge", "lock/state", "lock/contact"),
)
FOR_THE_STORE: Final = ("applied", "event")


class Desk(Protocol):
    """Who does the work that the doors' messages ask for. Called on the worker thread only."""

    def door_keys(self, door: str) -> DoorKeys:
        """Raises LatchkeyError where there is no such door."""

    def on_connected(self) -> None:
        """The broker is there (again)."""

    def on_applied(self, door: str, applied: Applied) -> None:
        """A door says what it runs."""

    def on_health(self, door: str, health: Health) -> None:
        """A door says how it does, now."""

    def on_events(self, door: str, events: list[Event]) -> list[str]:
        """-> ids that are stored and may be acknowledged."""


@dataclass
class Presence:
    """What one door has said since this connection began. Written by the network thread and the worker."""

    online: bool = False
    health: Health | None = None
    lock: str = STATE_UNKNOWN
    applied: Applied | None = None
    reports: int = 0
    """How many times it said what it runs."""
    challenge: str = ""
    challenge_at: float = float("-inf")
    """Monotonic seconds; a retained challenge, from any time, does not count."""


class PageLink:
    """A page on the broker. All methods may be called from any thread."""

    def __init__(
        self, site: str, broker: BrokerSettings, desk: Desk, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """clock: monotonic seconds. Raises BadState for unreadable broker secrets."""
        self._site = site
        self._desk = desk
        self._clock = clock
        self._doors: dict[str, Presence] = {}
        self._changed = threading.Condition()
        self._answers: dict[str, Answer | None] = {}
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_MESSAGES)
        self._worker = threading.Thread(target=self._run, name="page-link", daemon=True)
        self._connection = Connection(
            broker,
            # Random: the command line works beside a running page, and equal ids would throw each other out.
            f"latchkey-page-{site}-{secrets.token_hex(4)}",
            subscriptions=[(f"latchkey/{site}/+/{leaf}", 1) for leaf in LEAVES],
            on_message=self._receive,
            on_connected=self._connected,
        )

    def start(self) -> None:
        """Return at once; the connection comes when the broker does."""
        self._worker.start()
        self._connection.start()

    def stop(self) -> None:
        """Disconnect, then finish what has been received."""
        self._connection.stop()
        if self._worker.is_alive():
            self._work.put(None)
            self._worker.join(5.0)

    @property
    def connected(self) -> bool:
        return self._connection.connected

    @property
    def why_down(self) -> str:
        """ "" while connected."""
        return "" if self.connected else self._connection.why_down

    def wait_connected(self, timeout_s: float) -> bool:
        """True as soon as the connection is up."""
        return self._connection.wait(timeout_s)

    def presence(self, door: str) -> Presence:
        """What a door has said; all empty for one that has said nothing, or while the broker is away."""
        with self._changed:
            known = self._doors.get(door)
        return known if known is not None and self.connected else Presence()

    def send(self, door: str, leaf: str, payload: bytes) -> bool:
        """Publish a retained document now, or return False."""
        return self._connection.publish(Topics(self._site, door)[leaf], payload, retain=True)

    def clear(self, door: str) -> bool:
        """Have the broker forget what it retains of a door that is no more. False: not all of it was sent."""
        topics = Topics(self._site, door)
        places = [*(topics[leaf] for leaf in RETAINED), f"homeassistant/device/{topics.device_id}/config"]
        return all(self._connection.publish(place, b"", retain=True) for place in places)

    def wait_until(self, test: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `test` holds, looking again whenever a door has said something."""
        with self._changed:
            return self._changed.wait_for(test, timeout_s)

    def ask_unlock(self, door: str, by: str, why: str) -> Answer:
        """Ask a door to unlock, now: sealed, with the door's own fresh challenge, never queued. Asked again, once,
        where the challenge was used up on the way.

        Raises DoorOffline where the door cannot be asked or does not answer.
        """
        answer = self._ask_unlock(door, by, why)
        return self._ask_unlock(door, by, why) if answer.reason in TRY_AGAIN else answer

    def _ask_unlock(self, door: str, by: str, why: str) -> Answer:
        topics = Topics(self._site, door)
        keys = self._desk.door_keys(door)
        challenge = self._fresh_challenge(door)
        ask = Ask(id=secrets.token_hex(16), challenge=challenge, action="unlock", by=by[:128], why=why[:256])
        with self._changed:
            self._answers[ask.id] = None
        try:
            if not self._connection.publish(topics["ask"], seal(keys.door, topics["ask"], ask), qos=0):
                raise DoorOffline(f"The broker cannot be reached ({self.why_down}); {door} was not asked.")
            if not self.wait_until(lambda: self._answers[ask.id] is not None, ANSWER_TIMEOUT_S):
                raise DoorOffline(
                    f"{door} did not answer within {ANSWER_TIMEOUT_S:g} s. Look at the lock, then try again."
                )
        finally:
            with self._changed:
                answer = self._answers.pop(ask.id)
        assert answer is not None
        return answer

    def _fresh_challenge(self, door: str) -> str:
        def alive() -> bool:
            seen = self._doors.get(door)
            return seen is not None and self._clock() - seen.challenge_at < CHALLENGE_PERIOD_S

        if not self.connected:
            raise DoorOffline(f"The broker cannot be reached ({self.why_down}); {door} was not asked.")
        if not self.presence(door).online or not self.wait_until(alive, CHALLENGE_WAIT_S):
            raise DoorOffline(f"{door} is offline; it was not asked. Look at its power and its network.")
        return self.presence(door).challenge

    # --- network thread ---

    def _connected(self) -> None:
        with self._changed:
            # Said before the gap; what is still true comes again, retained, in a moment.
            self._doors.clear()
            self._changed.notify_all()
        self._hand_over(self._desk.on_connected)

    def _receive(self, message: Incoming) -> None:
        topics, leaf = Topics.split(message.topic)
        if len(message.payload) > LARGEST:
            log.warning("A message of %d bytes on %s is dropped.", len(message.payload), message.topic)
            return
        if not message.payload:
            # Somebody has cleared what was retained: a door was revoked, perhaps by a command beside this page.
            with self._changed:
                self._doors.pop(topics.door, None)
            return
        if leaf in FOR_THE_STORE:
            self._hand_over(lambda: self._store(topics, leaf, message))
            return
        try:
            keys = self._desk.door_keys(topics.door)
            with self._changed:
                seen = self._doors.setdefault(topics.door, Presence())
                self._note(seen, topics, leaf, message, keys)
                health = seen.health
                self._changed.notify_all()
            if leaf == "health" and health is not None and not message.retained:
                self._hand_over(lambda: self._desk.on_health(topics.door, health))
        except LatchkeyError as refused:
            log.warning("%s", refused)

    def _note(self, seen: Presence, topics: Topics, leaf: str, message: Incoming, keys: DoorKeys) -> None:
        if leaf == "availability":
            seen.online = message.payload == ONLINE
        elif leaf == "health":
            seen.health = decode(Health, message.payload, message.topic)
        elif leaf == "lock/state":
            states = {state.value for state in LockState}
            text = message.payload.decode("ascii", "replace")
            seen.lock = text if text in states else STATE_UNKNOWN
        elif leaf == "challenge" and not message.retained:
            seen.challenge = decode(Challenge, message.payload, message.topic).challenge
            seen.challenge_at = self._clock()
        elif leaf == "answer" and not message.retained:
            answer = unseal(keys.door, topics["answer"], Answer, message.payload)
            if answer.id in self._answers:
                self._answers[answer.id] = answer

    def _hand_over(self, job: Callable[[], None]) -> None:
        try:
            self._work.put_nowait(job)
        except queue.Full:
            log.warning("The store does not keep up; a message is left to be sent again.")

    # --- worker thread ---

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            try:
                job()
            except LatchkeyError as error:
                log.warning("%s", error)
            except Exception:
                # The worker must outlive any single message; nothing of it was acknowledged.
                log.exception("A message from a door could not be handled.")

    def _store(self, topics: Topics, leaf: str, message: Incoming) -> None:
        self._desk.door_keys(topics.door)
        if leaf == "applied":
            applied = decode(Applied, message.payload, message.topic)
            self._desk.on_applied(topics.door, applied)
            with self._changed:
                seen = self._doors.setdefault(topics.door, Presence())
                seen.applied = applied
                seen.reports += 1
                self._changed.notify_all()
            return
        if message.retained:
            raise BadInput(f"A retained event of {topics.door} is refused: doors never send one.")
        ids = self._desk.on_events(topics.door, [decode(Event, message.payload, message.topic)])
        if ids:
            self._connection.publish(topics["event/ack"], encode(EventAck(ids=ids)))
