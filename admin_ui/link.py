"""The office's side of the broker: what the doors say, and what is sent to them.

States and challenges are taken on the network thread into one record per door; everything that touches the store
goes to one worker (intake.py), so that a slow disk never costs the connection.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from admin_ui.intake import Intake
from admin_ui.keyring import DoorKeys
from admin_ui.presence import Presence
from admin_ui.views import DoorOffline
from firmware_config.broker import Connection, Incoming
from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.events import Event, EventAck
from firmware_config.keys import CHALLENGE_PERIOD_S
from firmware_config.messages import (
    SMALL,
    Answer,
    Applied,
    Ask,
    Health,
    MessageRefused,
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
LARGEST: Final = 2 * SMALL
"""Bytes: all that a door says is SMALL, sealed or not. Checked before it waits: one door that went bad must not take
the page's memory with QUEUE_MESSAGES of whatever size the broker lets through."""
LARGEST_ANSWER: Final = 2 * Answer.max_bytes
"""Bytes: a picture is in some. None waits: it is read at once, or nobody has asked for it."""
Action = Literal["unlock", "look", "face"]
"""messages.Ask says what each is."""
LEAVES: Final = ("availability", "health", "applied", "event", "challenge", "answer", "lock/state")
RETAINED: Final = (
    *("roster", "model", "availability", "health", "applied", "challenge"),
    *("lock/challenge", "lock/state", "lock/contact"),
)
FOR_THE_STORE: Final = ("applied", "event")
RENEWAL: Final = "make a new one with `latchkey-admin broker client page`, then `systemctl restart latchkey-admin`"
UNKNOWN_DOORS: Final = 100
"""Doors without keys that are remembered, so that each is told of once."""


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

    def on_events(self, told: Sequence[tuple[str, Event]]) -> dict[str, list[str]]:
        """Doors and what each says -> door -> ids that are stored and may be acknowledged."""

    def acknowledge(self, door: str, ids: list[str]) -> EventAck:
        """What the door is told of these, after `on_events`. Raises LatchkeyError where there is no such door."""


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
        # Goes on when the doors are forgotten: whoever remembers a number waits for a larger one.
        self._reports = itertools.count(1)
        self._changed = threading.Condition()
        self._answers: dict[str, Answer | None] = {}
        self._unknown: set[str] = set()
        self._intake = Intake(self._keep_events, desk.on_connected)
        self._connection = Connection(
            broker,
            # Random: the command line works beside a running page, and equal ids would throw each other out.
            f"latchkey-page-{site}-{secrets.token_hex(4)}",
            subscriptions=[(f"latchkey/{site}/+/{leaf}", 1) for leaf in LEAVES],
            on_message=self._receive,
            on_connected=self._connected,
            renewal=RENEWAL,
        )

    def start(self) -> None:
        """Return at once; the connection comes when the broker does."""
        self._intake.start()
        self._connection.start()

    def stop(self) -> None:
        """Disconnect, then finish what has been received."""
        self._connection.stop()
        self._intake.stop()

    @property
    def connected(self) -> bool:
        return self._connection.connected

    @property
    def connections(self) -> int:
        """How often it has come up."""
        return self._connection.connections

    @property
    def why_down(self) -> str:
        """ "" while connected."""
        return "" if self.connected else self._connection.why_down

    @property
    def unheard(self) -> str:
        """A sentence on what the broker does not let the page hear; "" where it lets it hear all."""
        return self._connection.unheard if self.connected else ""

    def wait_connected(self, timeout_s: float) -> bool:
        """True as soon as the connection is up and listens."""
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

    def ask(self, door: str, action: Action, by: str, why: str = "") -> Answer:
        """Ask a door to do something, now: sealed, with the door's own fresh challenge, never queued. Asked again,
        once, where the challenge was used up on the way.

        Raises DoorOffline where the door cannot be asked or does not answer.
        """
        answer = self._ask(door, action, by, why)
        return self._ask(door, action, by, why) if answer.reason in TRY_AGAIN else answer

    def _ask(self, door: str, action: Action, by: str, why: str) -> Answer:
        topics = Topics(self._site, door)
        keys = self._desk.door_keys(door)
        challenge = self._fresh_challenge(door)
        ask = Ask(id=secrets.token_hex(16), challenge=challenge, action=action, by=by[:128], why=why[:256])
        with self._changed:
            self._answers[ask.id] = None
        try:
            if not self._connection.publish(topics["ask"], seal(keys.door, topics["ask"], ask), qos=0):
                raise DoorOffline(self._not_asked(door))
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
            raise DoorOffline(self._not_asked(door))
        if not self.presence(door).online or not self.wait_until(alive, CHALLENGE_WAIT_S):
            raise DoorOffline(f"{door} is offline; it was not asked. Look at its power and its network.")
        return self.presence(door).challenge

    def _not_asked(self, door: str) -> str:
        return f"The broker cannot be reached ({self.why_down}); {door} was not asked. Try again when it is back."

    # --- network thread ---

    def _connected(self) -> None:
        with self._changed:
            # Said before the gap; what is still true comes again, retained, in a moment.
            self._doors.clear()
            self._changed.notify_all()
        self._intake.connected()

    def _receive(self, message: Incoming) -> None:
        try:
            topics, leaf = Topics.split(message.topic)
            most = LARGEST_ANSWER if leaf == "answer" else LARGEST
            if len(message.payload) > most:
                raise MessageRefused(message.topic, f"{len(message.payload)} bytes, at most {most} are read.")
            keys = self._keys(topics.door)
            if keys is not None:
                self._hear(topics, leaf, message, keys)
        except LatchkeyError as refused:
            log.warning("%s", refused)

    def _keys(self, door: str) -> DoorKeys | None:
        """None: the office has none, perhaps any more; what was known of the door is forgotten. Said once."""
        try:
            keys = self._desk.door_keys(door)
        except LatchkeyError as refused:
            with self._changed:
                self._doors.pop(door, None)
            if door not in self._unknown and len(self._unknown) < UNKNOWN_DOORS:
                self._unknown.add(door)
                log.warning("%s", refused)
            return None
        self._unknown.discard(door)
        return keys

    def _hear(self, topics: Topics, leaf: str, message: Incoming, keys: DoorKeys) -> None:
        if leaf in FOR_THE_STORE:
            # One that was cleared is no message.
            if message.payload:
                self._intake.put(message if leaf == "event" else lambda: self._take_applied(topics, message))
            return
        with self._changed:
            seen = self._doors.setdefault(topics.door, Presence())
            if leaf == "answer":
                self._take_answer(topics, message, keys)
            else:
                seen.hear(leaf, message, self._clock())
            health = seen.health
            self._changed.notify_all()
        if leaf == "health" and health is not None and not message.retained:
            self._intake.put(lambda: self._desk.on_health(topics.door, health))

    def _take_answer(self, topics: Topics, message: Incoming, keys: DoorKeys) -> None:
        if message.retained or not message.payload:
            return
        answer = unseal(keys.door, topics["answer"], Answer, message.payload)
        if answer.id in self._answers:
            self._answers[answer.id] = answer

    # --- worker thread ---

    def _take_applied(self, topics: Topics, message: Incoming) -> None:
        self._desk.door_keys(topics.door)
        applied = decode(Applied, message.payload, message.topic)
        self._desk.on_applied(topics.door, applied)
        with self._changed:
            seen = self._doors.setdefault(topics.door, Presence())
            seen.applied = applied
            if not message.retained:  # that may be from before anything was sent
                seen.report = next(self._reports)
            self._changed.notify_all()

    def _keep_events(self, messages: Sequence[Incoming]) -> None:
        """Store what can be stored and acknowledge it, door by door; a bad one is refused alone."""
        told: list[tuple[str, Event]] = []
        for message in messages:
            door = Topics.split(message.topic)[0].door
            try:
                if message.retained:
                    raise BadInput(f"A retained event of {door} is refused: doors never send one.")
                told.append((door, decode(Event, message.payload, message.topic)))
            except LatchkeyError as refused:
                log.warning("%s", refused)
        for door, ids in self._desk.on_events(told).items():
            self._connection.publish(Topics(self._site, door)["event/ack"], encode(self._desk.acknowledge(door, ids)))
