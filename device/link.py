"""The door's side of the broker: what it says and what it listens to. Asking the lock to open is in lockline.py.

Only what the lock says of itself is taken on the network thread: its beat and state, and what its wires say, which
counts from when it came. Everything else goes into `inbox`, which the loop drains between frames: rosters, models,
acknowledgements and asks never interrupt a frame.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from device.discovery import COMMAND_LEAF, STATUS_TOPIC, discovery, discovery_topic
from device.lockline import LockLine
from device.waiting import Waiting
from firmware_config.broker import Connection, Incoming, Will
from firmware_config.errors import BadInput
from firmware_config.events import Event, EventAck
from firmware_config.face import Reason
from firmware_config.keys import ChallengeBook
from firmware_config.messages import (
    LARGE,
    OFFLINE,
    ONLINE,
    Answer,
    Applied,
    Ask,
    Challenge,
    Health,
    Hint,
    encode,
    seal,
    unseal,
)
from firmware_config.pairing import DoorPairing

log = logging.getLogger("latchkey.link")

INBOX_MESSAGES: Final = 256
"""Messages that wait for the loop; more than this means the loop hangs or somebody floods the topics. The newest
document of each topic waits even then: nobody sends it again, and an erased person must go."""

INBOX_BYTES: Final = LARGE + 16 * 1024 * 1024
"""Bytes that wait for the loop: the largest roster that is read at all, beside it an encoder and all that is small."""

WIRES: Final = ("lock/contact", "lock/exit")
"""Leaves on which the lock says what its wires say."""

DOCUMENTS: Final = ("roster", "model")
"""Leaves whose messages may be large; of the others, an acknowledgement's is the largest (EventAck.max_bytes). What
waits for the loop must fit into a small board's memory."""

HINTS: Final = {
    Reason.GRANTED: Hint.WELCOME,
    Reason.TOO_SMALL: Hint.COME_CLOSER,
    Reason.TOO_DARK: Hint.TOO_DARK,
    Reason.TURNED_AWAY: Hint.LOOK_HERE,
    Reason.BLURRED: Hint.LOOK_HERE,
    Reason.POOR_PICTURE: Hint.COME_CLOSER,
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
    ("lock/contact", 1),
    ("lock/exit", 1),
    (COMMAND_LEAF, 0),
)


class Link:
    """A door on the broker. All methods may be called from any thread; none but `lock.unlock` ever waits."""

    def __init__(self, pairing: DoorPairing, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: monotonic seconds. Raises BadState for unreadable broker secrets."""
        self.topics = pairing.topics
        self.inbox = Waiting(INBOX_MESSAGES)
        self.on_wires: Callable[[str, Incoming], None] = lambda _leaf, _message: None
        """Called on the network thread with what comes on one of WIRES, and its leaf: hand over and return."""
        self.health_unsaid = True
        """While nobody on this connection has been told how the door does; until then it is not online."""
        self._pairing = pairing
        self._clock = clock
        self._book = ChallengeBook(clock())
        self._hinted: Hint | None = None
        self._said: dict[str, bytes] = {}
        self.connection = Connection(
            pairing.broker,
            f"latchkey-door-{self.topics.site}-{self.topics.door}",
            subscriptions=[*((self.topics[leaf], qos) for leaf, qos in DOOR_SUBSCRIPTIONS), (STATUS_TOPIC, 0)],
            on_message=self._receive,
            on_connected=self._connected,
            will=Will(self.topics["availability"], OFFLINE),
        )
        self.lock = LockLine(pairing, self.connection, clock)

    def start(self) -> None:
        """Return at once; the connection comes when the broker does."""
        self.connection.start()

    def stop(self) -> None:
        """Say offline and disconnect."""
        self.connection.stop(Will(self.topics["availability"], OFFLINE))

    @property
    def connected(self) -> bool:
        return self.connection.connected

    def beat(self) -> None:
        """Renew the door's own challenge when it is due. Called by the loop."""
        if self._book.due(self._clock()):
            self._book.rotate(self._clock())
            self._say_challenge()

    def say_health(self, health: Health) -> None:
        """Retained. The first after a connection says online too: how the door was before the gap is no news."""
        unsaid, self.health_unsaid = self.health_unsaid, False
        self._say(self.topics["health"], encode(health))
        if unsaid:
            self._say_online()

    def say_applied(self, applied: Applied) -> None:
        """Retained; said again at every reconnection."""
        self._say(self.topics["applied"], encode(applied))

    def say_discovery(self, software: str) -> None:
        """For Home Assistant. Retained; said again at every reconnection and when Home Assistant starts."""
        self._say(discovery_topic(self.topics), discovery(self.topics, software))

    def say_hint(self, reason: Reason | None) -> None:
        """For a display or a buzzer: what to do about `reason`, once until there is something else to say."""
        hint = HINTS.get(reason) if reason is not None else None
        if hint is not None and hint is not self._hinted:
            self.show(hint)
        self._hinted = hint

    def show(self, hint: Hint) -> None:
        """On a display or a buzzer, now."""
        self.connection.publish(self.topics["hint"], hint.value.encode(), qos=0)

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
        # By whom stands in no log: it lies on the disk in plain.
        log.warning("An ask is refused: %s", refusal.sentence)
        self.answer(Answer(id=ask.id, ok=False, reason=refusal.code, sentence=refusal.sentence))
        return None

    def answer(self, answer: Answer) -> None:
        """Sealed for the page."""
        topic = self.topics["answer"]
        self.connection.publish(topic, seal(self._pairing.door_key, topic, answer), qos=0)

    def say_all_again(self) -> None:
        """Everything that is retained, for whoever listens anew."""
        self._say_challenge()
        for topic, payload in list(self._said.items()):
            self.connection.publish(topic, payload, retain=True)
        if not self.health_unsaid:
            self._say_online()

    def _say_online(self) -> None:
        self.connection.publish(self.topics["availability"], ONLINE, retain=True)

    def _say(self, topic: str, payload: bytes) -> None:
        self._said[topic] = payload
        self.connection.publish(topic, payload, retain=True)

    def _say_challenge(self) -> None:
        payload = encode(Challenge(challenge=self._book.current))
        self.connection.publish(self.topics["challenge"], payload, retain=True)

    def _connected(self) -> None:
        self.lock.forget()
        self._said.pop(self.topics["health"], None)
        self.health_unsaid = True
        self.say_all_again()

    def _receive(self, message: Incoming) -> None:
        if not message.payload:
            # So a broker passes on that a retained message was cleared, as the office does when it revokes a door:
            # nothing was sent, so there is nothing to refuse.
            return
        leaf = message.topic.removeprefix(self.topics[""])
        if leaf == "lock/challenge":
            self.lock.hear_challenge(message)
            return
        if leaf == "lock/state":
            self.lock.hear_state(message)
            return
        if leaf not in DOCUMENTS and len(message.payload) > EventAck.max_bytes:
            log.warning("A message of %d bytes on %s is dropped.", len(message.payload), message.topic)
            return
        if leaf in WIRES:
            self.on_wires(leaf, message)
            return
        if not self._wait(leaf, message):
            log.error("The loop does not keep up: a message on %s is dropped.", message.topic)

    def _wait(self, leaf: str, message: Incoming) -> bool:
        if leaf in DOCUMENTS:
            # Without room for both, the list waits: an encoder can be sent once more, an erased person must go.
            giving_way = self.topics["model"] if leaf == "roster" else ""
            return self.inbox.put_document(message, INBOX_BYTES, giving_way)
        # One thread puts in, so what is free now can only grow.
        if self.inbox.full() or self.inbox.waiting_bytes + len(message.payload) > INBOX_BYTES:
            return False
        self.inbox.put_nowait(message)
        return True
