"""What waits for the loop: messages in order, the newest document whatever else does, and never more than fits."""

from __future__ import annotations

import pytest

from device import link as linking
from device.link import Link
from device.waiting import Waiting
from firmware_config.broker import Incoming
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from firmware_config.pairing import DoorPairing
from firmware_config.settings import BrokerSettings

MOST = 100
TOPICS = Topics("home", "front")


@pytest.fixture
def link() -> Link:
    """Of a door whose loop hangs; nothing of it needs a broker."""
    nowhere = BrokerSettings(url="mqtt://127.0.0.1:1")
    keys = SecretKey.generate(), SigningKey.generate().public, SecretKey.generate()
    return Link(DoorPairing(TOPICS, nowhere, *keys))


def message(topic: str, size: int = 1) -> Incoming:
    return Incoming(topic, bytes(size), retained=False)


def told(waiting: Waiting) -> list[str]:
    return [f"{message.topic} {len(message.payload)}" for message in waiting.queue]


def test_while_there_is_room_a_document_waits_as_any_message() -> None:
    """Noise on its topic does not replace a list."""
    waiting = Waiting(4)
    for size in (5, 1):
        assert waiting.put_document(message("roster", size), MOST)
    waiting.put_nowait(message("ask"))
    assert waiting.put_document(message("roster", 2), MOST)
    assert told(waiting) == ["roster 5", "roster 1", "ask 1", "roster 2"]
    assert waiting.waiting_bytes == 9


def test_the_newest_document_waits_however_many_messages_do() -> None:
    waiting = Waiting(3)
    for topic in ("roster", "ask", "roster"):
        waiting.put_nowait(message(topic))
    assert waiting.put_document(message("roster", 6), MOST)
    waiting.put_nowait(message("ask"))
    assert waiting.full()
    assert waiting.put_document(message("model", 3), MOST)
    assert waiting.put_document(message("roster", 7), MOST)
    assert told(waiting) == ["ask 1", "ask 1", "model 3", "roster 7"]


def test_without_room_what_gives_way_goes_or_else_what_comes_stays_out() -> None:
    waiting = Waiting(10)
    waiting.put_nowait(message("ask", 10))
    assert waiting.put_document(message("roster", 60), MOST)
    assert not waiting.put_document(message("model", 31), MOST)
    assert waiting.put_document(message("model", 30), MOST)
    assert not waiting.put_document(message("roster", 91), MOST, "model")
    assert told(waiting) == ["ask 10", "roster 60", "model 30"], "the older one stays where the newer does not fit"
    assert waiting.put_document(message("roster", 61), MOST, "model")
    assert told(waiting) == ["ask 10", "roster 61"]


def test_a_few_are_taken_at_a_time_and_none_that_came_meanwhile() -> None:
    waiting = Waiting(10)
    for topic in "abc":
        waiting.put_nowait(message(topic))
    assert [each.topic for each in waiting.some(2)] == ["a", "b"]
    taken = []
    for each in waiting.some(2):
        taken.append(each.topic)
        waiting.put_nowait(message("d"))
    assert taken == ["c"]
    assert [each.topic for each in waiting.some(2)] == ["d"]


def test_what_gave_way_while_the_rest_was_taken_is_missed_by_nobody() -> None:
    waiting = Waiting(10)
    waiting.put_nowait(message("ask", 10))
    assert waiting.put_document(message("roster", 10), MOST)
    assert waiting.put_document(message("model", 80), MOST)
    taken = []
    for each in waiting.some(10):
        taken.append(each.topic)
        if each.topic == "ask":
            assert waiting.put_document(message("roster", 90), MOST, "model")
    assert taken == ["ask", "roster"]


def test_documents_that_wait_are_bounded_together(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "INBOX_BYTES", 1000)

    def waiting() -> list[tuple[str, int]]:
        return [(message.topic.rpartition("/")[2], len(message.payload)) for message in link.inbox.queue]

    link._receive(Incoming(TOPICS["model"], bytes(600), retained=True))
    link._receive(Incoming(TOPICS["roster"], bytes(400), retained=True))
    assert waiting() == [("model", 600), ("roster", 400)]
    link._receive(Incoming(TOPICS["roster"], bytes(500), retained=True))
    assert waiting() == [("roster", 500)], "the encoder gives way"
    link._receive(Incoming(TOPICS["model"], bytes(501), retained=True))
    link._receive(Incoming(TOPICS["roster"], bytes(1001), retained=True))
    assert waiting() == [("roster", 500)], "either would have been too many"
    assert len(link.inbox.get_nowait().payload) == 500
    link._receive(Incoming(TOPICS["roster"], bytes(1000), retained=True))
    assert link.inbox.qsize() == 1, "what was taken makes room"


def test_the_newest_list_waits_whatever_else_does(link: Link) -> None:
    """It is sent once, and may be without somebody who was erased."""
    link._receive(Incoming(TOPICS["roster"], b"older", retained=False))
    for _ in range(300):
        link._receive(Incoming(TOPICS["ask"], b"x", retained=False))
    link._receive(Incoming(TOPICS["roster"], b"newest", retained=False))
    link._receive(Incoming(TOPICS["model"], b"encoder", retained=False))
    assert link.inbox.qsize() == linking.INBOX_MESSAGES + 1
    assert [m.payload for m in link.inbox.some(1000) if m.payload != b"x"] == [b"newest", b"encoder"]


def test_what_the_wires_say_waits_for_nobody(link: Link) -> None:
    heard: list[tuple[str, bytes]] = []
    link.on_wires = lambda leaf, message: heard.append((leaf, message.payload))
    for _ in range(300):
        link._receive(Incoming(TOPICS["ask"], b"x", retained=False))
    link._receive(Incoming(TOPICS["lock/contact"], b"OPEN", retained=False))
    link._receive(Incoming(TOPICS["lock/exit"], b"PRESSED", retained=False))
    link._receive(Incoming(TOPICS["lock/contact"], bytes(100_000), retained=False))
    assert heard == [("lock/contact", b"OPEN"), ("lock/exit", b"PRESSED")]
