"""Somebody who may listen to everything, as Home Assistant may: what is said in the clear names and measures nobody."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device.contact import GRACE_S
from firmware_config.broker import Connection, Incoming
from firmware_config.events import Event, open_event
from firmware_config.keys import SealRefused, SecretKey
from firmware_config.messages import Contact, Health, decode
from firmware_config.roster import template_bytes
from firmware_config.settings import LockSettings
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.staging import face_of
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]

CLEAR: dict[str, set[str]] = {
    "health": set(Health.model_fields),
    "applied": {
        "generation",
        "encoder_id",
        "roster_encoder",
        "model_version",
        "people",
        "refused",
        "refused_why",
        "refused_topic",
    },
    "event": {"id", "at", "outcome", "reason", "detail"},
    "event/ack": {"ids", "mac", "prune"},
    "challenge": {"challenge"},
    "lock/challenge": {"challenge"},
    "lock/command": {"door", "action", "challenge", "hold_ms", "mac", "good_ms"},
    "lock/result": {"challenge", "accepted", "reason"},
}
"""Every field that a door, its lock and its page say in the clear. Whoever adds one thinks of who listens."""

WORDS = {
    "availability": {b"online", b"offline"},
    "hint": {b"come_closer", b"look_here", b"too_dark", b"welcome", b"close_door"},
    "lock/state": {b"LOCKED", b"UNLOCKED", b"JAMMED"},
    "lock/contact": {b"OPEN", b"CLOSED"},
    "lock/exit": {b"PRESSED"},
}
SEALED = {"roster", "ask", "answer"}
TELLING_FIELDS = {"distance", "runner_up", "name", "person", "person_id", "quality", "template", "templates", "by"}
DISTANCE = re.compile(r"\b[01][.,][0-9]{2}")
"""As a sentence would say one."""
SOMEBODY = ("ana", "Ana", "id-ana", "ben", "Ben", "id-ben", "olga")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Mosquitto(tmp_path / "broker") as broker:
        made = Door(tmp_path, broker.settings)
        made.inputs.leaf = Contact.CLOSED
        lock = LockSettings(exit_hold_s=0.3, held_open_s=1.0)
        made.settings = made.settings.model_copy(update={"lock": lock})
        yield made
        made.stop()


@pytest.fixture
def page(door: Door) -> Iterator[Page]:
    made = Page(door.broker, door.door_key)
    yield made
    made.connection.stop()


@pytest.fixture
def ear(door: Door) -> Iterator[list[Incoming]]:
    """Everything on the broker."""
    heard: list[Incoming] = []
    connection = Connection(
        door.broker, "ear", subscriptions=[("#", 1)], on_message=heard.append, on_connected=lambda: None
    )
    connection.start()
    assert connection.wait(10)
    yield heard
    connection.stop()


def show(door: Door, page: Page, who: str, outcome: tuple[str, str]) -> None:
    """Somebody stands there until the door has told this once more, and leaves."""
    before = page.happened().count(outcome)
    door.camera.showing = who
    assert until(lambda: page.happened().count(outcome) > before), (who, page.happened())
    door.camera.showing = ""
    time.sleep(1.2)


def a_day(door: Door, page: Page) -> None:
    """All that happens at a door: members, strangers, guessing, the dark, the page, the button, a lever."""
    door.start_lock()
    assert page.connection.publish(TOPICS["roster"], door.roster(1, "ana", "ben", guard_misses=2), retain=True)
    daemon = door.start()
    assert until(lambda: page.applied is not None and page.applied.generation == 1)
    assert until(lambda: daemon._link.lock.alive)
    show(door, page, "ana", ("granted", "granted"))
    show(door, page, "somebody else", ("denied", "unknown_face"))
    show(door, page, "dark", ("denied", "too_dark"))
    for _ in range(2):
        show(door, page, "ana@1.04", ("denied", "unknown_face"))
    show(door, page, "ana@0.9", ("denied", "under_guard"))
    assert page.ask_unlock(by="olga").ok
    door.inputs.press()
    time.sleep(0.5 + GRACE_S + door.settings.lock.exit_hold_s)
    door.inputs.leaf = Contact.OPEN
    assert until(lambda: {("notice", "forced_open"), ("notice", "held_open")} <= set(page.happened()))
    door.inputs.leaf = Contact.CLOSED
    assert until(lambda: ("notice", "door_closed") in page.happened())
    # A refused roster is said too.
    assert page.connection.publish(TOPICS["roster"], b"nonsense", retain=True)
    assert until(lambda: page.applied is not None and page.applied.refused != "")
    page.acknowledge_all()
    door.camera.trouble = "The camera 0 is not there; look at its cable."
    assert until(lambda: ("notice", "camera_lost") in page.happened())


def test_what_is_said_in_the_clear_names_and_measures_nobody(door: Door, page: Page, ear: list[Incoming]) -> None:
    a_day(door, page)
    door.stop()
    heard = list(ear)
    measured = [d for e in page.events() for d in (page.detail(e).distance, page.detail(e).runner_up) if d is not None]
    assert len(measured) >= 8, "the page is told distances, so there is something to hide"
    templates = [template_bytes(face_of(name)) for name in ("ana", "ben")]
    secrets = [
        *(word.encode() for word in SOMEBODY),
        *templates,
        *(b64encode(template)[4:-4] for template in templates),
    ]
    leaves = {message.topic.removeprefix(TOPICS[""]) for message in heard if message.topic.startswith(TOPICS[""])}
    assert leaves >= {"health", "applied", "event", "lock/contact", "lock/exit", "lock/command", "hint", "answer"}
    for message in heard:
        leaf = message.topic.removeprefix(TOPICS[""])
        assert [secret for secret in secrets if secret in without_random(leaf, message.payload)] == [], message
        if message.topic.startswith("homeassistant/"):
            continue  # the description of the door's entities, which no frame and no person has a part in
        if leaf in SEALED:
            assert not readable(message.payload), leaf
        elif leaf in WORDS:
            assert message.payload in WORDS[leaf]
        else:
            said = json.loads(message.payload)
            assert set(said) <= CLEAR[leaf], leaf
            sentences = [*said.get("problems", []), said.get("camera_why", ""), said.get("refused_why", "")]
            assert [text for text in sentences if DISTANCE.search(text)] == []


def test_no_field_that_is_said_in_the_clear_tells_of_a_person() -> None:
    assert {field for fields in CLEAR.values() for field in fields} & TELLING_FIELDS == set()


def test_the_sealed_half_of_an_event_opens_with_the_doors_key_only(door: Door, page: Page) -> None:
    door.start()
    door.camera.showing = "somebody"
    assert until(lambda: ("denied", "no_roster") in page.happened())
    event = page.events()[0]
    assert page.detail(event)
    for key in (SecretKey.generate(), door.lock_key):
        with pytest.raises(SealRefused):
            open_event(key, TOPICS, event)


def without_random(leaf: str, payload: bytes) -> bytes:
    """Seals, challenges and MACs are random; three letters of a name come up in them by chance."""
    if leaf in SEALED:
        return b""
    if leaf == "event":
        return decode(Event, payload, leaf).model_copy(update={"detail": b""}).model_dump_json().encode()
    said = json.loads(payload) if payload[:1] == b"{" else {}
    hidden: dict[str, Any] = {name: "" for name in ("challenge", "mac", "encoder_id", "audit_head") if name in said}
    return json.dumps({**said, **hidden}).encode() if said else payload


def readable(payload: bytes) -> bool:
    """JSON, or text of any kind."""
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return payload != b"nonsense"
