"""The door's side of the broker: what it says by itself, and that an unlock goes out now or never."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.actuator import LockActuator
from device.link import Link
from device.relay import SimulatedRelay
from firmware_config.broker import Connection, Incoming, Will
from firmware_config.face import Reason
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import (
    Answer,
    Applied,
    Ask,
    Challenge,
    Health,
    Hint,
    LockResult,
    LockState,
    Topics,
    decode,
    encode,
    seal,
    unseal,
)
from firmware_config.pairing import DoorPairing, LockPairing
from firmware_config.settings import BrokerSettings
from tests.brokers import Mosquitto
from tests.waiting import until

pytestmark = pytest.mark.broker

TOPICS = Topics("home", "front")
LOCK_KEY = SecretKey.generate()
DOOR_KEY = SecretKey.generate()
WELL = Health(software="1", lock="LOCKED")


def pairing(broker: BrokerSettings) -> DoorPairing:
    return DoorPairing(TOPICS, broker, LOCK_KEY, SigningKey.generate().public, DOOR_KEY)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def link(broker: Mosquitto) -> Iterator[Link]:
    made = Link(pairing(broker.settings))
    made.start()
    assert made.connection.wait(20)
    yield made
    made.stop()


class Listener:
    """The page, or anybody else who listens."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: list[Incoming] = []
        self.connection = Connection(
            broker.settings,
            "listener",
            subscriptions=[("latchkey/#", 1)],
            on_message=self.heard.append,
            on_connected=lambda: None,
        )
        self.connection.start()
        assert self.connection.wait(20)
        # Sent behind the SUBSCRIBE, so whoever hears it is subscribed; the broker may serve another sender before.
        assert self.connection.publish(TOPICS["echo"], b"")
        assert until(lambda: self.last("echo") is not None)

    def last(self, leaf: str) -> bytes | None:
        found = [message.payload for message in self.heard if message.topic == TOPICS[leaf]]
        return found[-1] if found else None


@pytest.fixture
def page(broker: Mosquitto) -> Iterator[Listener]:
    made = Listener(broker)
    yield made
    made.connection.stop()


@pytest.fixture
def lock(broker: Mosquitto) -> Iterator[SimulatedRelay]:
    relay = SimulatedRelay(say=lambda _line: None)
    actuator = LockActuator(LockPairing(TOPICS, broker.settings, LOCK_KEY), relay)
    stop = threading.Event()
    thread = threading.Thread(target=actuator.run, args=(stop,))
    thread.start()
    yield relay
    stop.set()
    thread.join(5)


def test_unlock_reaches_a_living_lock(link: Link, lock: SimulatedRelay) -> None:
    assert until(lambda: link.lock.alive)
    assert link.lock.unlock(200) is None
    assert until(lambda: lock.times_on == 1)
    assert until(lambda: link.lock.state is LockState.LOCKED)


def test_two_unlocks_at_once_use_two_challenges(link: Link, lock: SimulatedRelay) -> None:
    assert until(lambda: link.lock.alive)
    assert (link.lock.unlock(200), link.lock.unlock(200)) == (None, None)
    assert until(lambda: lock.times_on == 2)


def test_an_unlock_that_is_long_on_its_way_opens_nothing(link: Link, lock: SimulatedRelay, page: Listener) -> None:
    """What a cut wire does to TCP: the door's command comes a second and a half later, the lock's challenge alive."""
    assert until(lambda: link.lock.alive)
    publish = link.connection.publish

    def late(topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        threading.Timer(1.5, lambda: publish(topic, payload, qos=qos, retain=retain)).start()
        return True

    link.connection.publish = late  # type: ignore[method-assign]
    assert link.lock.unlock(200, time.monotonic() + 0.4) is None, "the door cannot know"
    assert until(lambda: page.last("lock/result") is not None)
    assert decode(LockResult, page.last("lock/result") or b"", "lock/result").reason == "late_command"
    assert lock.times_on == 0


def test_no_broker_means_lock_offline() -> None:
    link = Link(pairing(BrokerSettings(url="mqtt://127.0.0.1:1")))
    link.start()
    assert link.lock.unlock(200) is Reason.LOCK_OFFLINE
    link.stop()


def test_no_lock_means_lock_offline(link: Link) -> None:
    assert link.lock.unlock(200) is Reason.LOCK_OFFLINE


def test_a_dead_locks_retained_challenge_is_no_sign_of_life(broker: Mosquitto, page: Listener) -> None:
    left_behind = encode(Challenge(challenge="ab" * 16))
    assert page.connection.publish(TOPICS["lock/challenge"], left_behind, retain=True)
    assert page.connection.publish(TOPICS["lock/state"], b"LOCKED", retain=True)
    assert until(lambda: page.last("lock/state") is not None)
    link = Link(pairing(broker.settings))
    link.start()
    # The state is subscribed to after the challenge, so its arrival says that the challenge was delivered too.
    assert until(lambda: link.lock.state is LockState.LOCKED)
    assert link.lock.unlock(200) is Reason.LOCK_OFFLINE
    link.stop()


def test_a_lock_that_falls_silent_is_offline_after_its_challenge_died(broker: Mosquitto, page: Listener) -> None:
    now = [50.0]
    link = Link(pairing(broker.settings), clock=lambda: now[0])
    link.start()
    assert link.connection.wait(20)
    door_challenge(page)  # said behind the SUBSCRIBE
    assert page.connection.publish(TOPICS["lock/challenge"], encode(Challenge(challenge="cd" * 16)))
    assert until(lambda: link.lock.alive)
    now[0] += 3.9
    assert link.lock.alive
    now[0] += 0.2
    assert not link.lock.alive
    assert link.lock.unlock(200) is Reason.LOCK_OFFLINE
    link.stop()


def test_a_cleared_topic_is_no_message(link: Link, page: Listener, caplog: pytest.LogCaptureFixture) -> None:
    door_challenge(page)  # said behind the SUBSCRIBE
    for leaf in ("roster", "model", "lock/challenge", "lock/state", "lock/contact"):
        assert page.connection.publish(TOPICS[leaf], b"", retain=True)
    assert page.connection.publish(TOPICS["roster"], b"x")
    assert link.inbox.get(timeout=20).payload == b"x", "what came before it is not there"
    assert link.inbox.empty()
    assert "is refused" not in caplog.text
    assert "is no state" not in caplog.text


def test_availability_follows_the_door(broker: Mosquitto, page: Listener) -> None:
    link = Link(pairing(broker.settings))
    link.start()
    assert until(lambda: page.last("challenge") is not None)
    assert page.last("availability") is None, "nothing looks at the camera yet"
    link.say_health(WELL)
    assert until(lambda: page.last("availability") == b"online")
    assert page.last("health") == encode(WELL), "said before it"
    link.stop()
    assert until(lambda: page.last("availability") == b"offline")


def test_what_the_door_said_is_said_again_after_a_broker_restart(broker: Mosquitto, link: Link) -> None:
    """But how it was: that it says anew."""
    applied = Applied(generation=3, encoder_id="ab" * 32, model_version="1.0.0")
    link.say_applied(applied)
    link.say_health(WELL)
    answered = link.connection._unanswered
    assert answered is not None
    assert until(answered.is_published), "else it would come again with the connection, as MQTT wants it"
    broker.stop()
    assert until(lambda: not link.connected)
    broker.start()  # without persistence: it has forgotten everything
    listener = Listener(broker)
    assert until(lambda: listener.last("applied") == encode(applied))
    assert (listener.last("health"), listener.last("availability")) == (None, None)
    link.say_health(WELL)
    assert until(lambda: listener.last("availability") == b"online")
    assert listener.last("health") == encode(WELL)
    listener.connection.stop()


def test_a_hint_is_said_once_until_it_changes(link: Link, page: Listener) -> None:
    for reason in (Reason.TOO_SMALL, Reason.TOO_SMALL, Reason.UNKNOWN_FACE, Reason.TOO_SMALL, Reason.GRANTED):
        link.say_hint(reason)
    assert until(lambda: page.last("hint") == Hint.WELCOME.value.encode())
    said = [message.payload for message in page.heard if message.topic == TOPICS["hint"]]
    assert said == [b"come_closer", b"come_closer", b"welcome"]


def ask(page: Listener, challenge: str, key: SecretKey = DOOR_KEY, *, retain: bool = False) -> Ask:
    made = Ask(id="12" * 16, challenge=challenge, action="unlock", by="olga")
    page.connection.publish(TOPICS["ask"], seal(key, TOPICS["ask"], made), qos=0, retain=retain)
    return made


def door_challenge(page: Listener) -> str:
    assert until(lambda: page.last("challenge") is not None)
    return decode(Challenge, page.last("challenge") or b"", "challenge").challenge


def test_an_ask_is_taken_once(link: Link, page: Listener, caplog: pytest.LogCaptureFixture) -> None:
    challenge = door_challenge(page)
    asked = ask(page, challenge)
    assert link.take_ask(link.inbox.get(timeout=20)) == asked
    ask(page, challenge)
    assert link.take_ask(link.inbox.get(timeout=20)) is None
    assert "The challenge is spent" in caplog.text
    assert asked.by not in caplog.text, "the system's log names nobody"
    assert until(lambda: page.last("answer") is not None)
    answer = unseal(DOOR_KEY, TOPICS["answer"], Answer, page.last("answer") or b"")
    assert (answer.id, answer.ok, answer.reason) == (asked.id, False, "spent_challenge")


def test_an_ask_sealed_with_another_key_is_not_answered(link: Link, page: Listener) -> None:
    ask(page, door_challenge(page), SecretKey.generate())
    assert link.take_ask(link.inbox.get(timeout=20)) is None
    assert page.last("answer") is None


def test_a_retained_ask_is_refused(broker: Mosquitto, page: Listener) -> None:
    ask(page, "34" * 16, retain=True)
    assert until(lambda: page.last("ask") is not None)
    link = Link(pairing(broker.settings))
    link.start()
    message = link.inbox.get(timeout=20)
    assert message.retained
    assert link.take_ask(message) is None
    link.stop()


def test_a_flood_is_dropped_and_the_door_lives(link: Link, page: Listener) -> None:
    for _ in range(400):
        page.connection.publish(TOPICS["ask"], b"x", qos=0)
    assert until(link.inbox.full)
    assert until(lambda: page.connection.publish(TOPICS["lock/challenge"], encode(Challenge(challenge="ef" * 16))))
    assert until(lambda: link.lock.alive), "the lock is heard beside the flood"


def test_only_documents_may_be_large_and_only_work_waits(link: Link, page: Listener) -> None:
    large = b"x" * 100_000
    door_challenge(page)  # said behind the SUBSCRIBE
    for leaf in ("ask", "event/ack", "lock/result"):
        page.connection.publish(TOPICS[leaf], large)
    page.connection.publish(TOPICS["lock/state"], b"JAMMED")
    page.connection.publish(TOPICS["roster"], large)
    assert link.inbox.get(timeout=20).topic == TOPICS["roster"]
    assert link.lock.state is LockState.JAMMED


def test_a_door_that_vanishes_is_reported_offline_by_the_broker(broker: Mosquitto, page: Listener) -> None:
    vanishing = Connection(
        broker.settings,
        "vanishing",
        subscriptions=[],
        on_message=lambda _message: None,
        on_connected=lambda: None,
        will=Will(TOPICS["availability"], b"offline"),
    )
    vanishing.start()
    assert vanishing.wait(20)
    sock = vanishing._client.socket()
    assert sock is not None
    sock.close()  # no DISCONNECT is sent: what a power cut looks like to the broker
    assert until(lambda: page.last("availability") == b"offline")
    vanishing.stop()
