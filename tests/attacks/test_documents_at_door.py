"""Rosters and bundles that a running door must not take: each is refused whole, and the page is told why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.staging import toy_bundle
from tests.waiting import until

pytestmark = pytest.mark.broker


def flip(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def foreign_door(door: Door) -> bytes:
    """Made by the right page for another door that happens to share the key, and put on this door's topic."""
    return door.roster(9, "mallory", topics=Topics("home", "back"))


def foreign_site(door: Door) -> bytes:
    """Somebody has the door's key, but not the site's."""
    real, door.site = door.site, SigningKey.generate()
    try:
        return door.roster(9, "mallory")
    finally:
        door.site = real


def foreign_seal(door: Door) -> bytes:
    real, door.door_key = door.door_key, SecretKey.generate()
    try:
        return door.roster(9, "mallory")
    finally:
        door.door_key = real


ROSTERS: dict[str, tuple[Callable[[Door], bytes], str]] = {
    "tampered": (lambda door: flip(door.roster(9, "mallory"), 200), "bad_seal"),
    "truncated": (lambda door: door.roster(9, "mallory")[:-7], "bad_seal"),
    "older": (lambda door: door.roster(4, "mallory"), "older_generation"),
    "same generation, other people": (lambda door: door.roster(5, "mallory"), "older_generation"),
    "for another door": (foreign_door, "bad_seal"),
    "signed by another site": (foreign_site, "bad_signature"),
    "sealed with another key": (foreign_seal, "bad_seal"),
    "for another encoder": (lambda door: door.roster(9, "mallory", encoder_id="ab" * 32), "encoder_mismatch"),
}

BUNDLES: dict[str, tuple[Callable[[Door], bytes], str]] = {
    "tampered": (lambda door: flip(toy_bundle(door.site, "2.0.0", b"new"), 300), "not_a_bundle"),
    "truncated": (lambda door: toy_bundle(door.site, "2.0.0", b"new")[:-40], "not_a_bundle"),
    "not a bundle at all": (lambda _door: b"\x7fELF" * 100, "not_a_bundle"),
    "older": (lambda door: toy_bundle(door.site, "0.9.0", b"old"), "older_version"),
    "signed by a stranger": (lambda _door: toy_bundle(SigningKey.generate(), "2.0.0", b"new"), "bad_signature"),
    "signed for the disk, sent over the broker": (
        lambda door: toy_bundle(door.release, "2.0.0", b"new"),
        "bad_signature",
    ),
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto) -> Iterator[Door]:
    made = Door(tmp_path, broker.settings)
    yield made
    made.stop()


@pytest.fixture
def page(door: Door, broker: Mosquitto) -> Iterator[Page]:
    """A page that has sent generation 5 with Ana in it, and a door that runs it."""
    made = Page(broker.settings, door.door_key)
    door.start_lock()
    daemon = door.start()
    assert made.connection.publish(TOPICS["roster"], door.roster(5, "ana"), retain=True)
    assert until(lambda: made.applied is not None and made.applied.generation == 5)
    assert until(lambda: daemon._link.lock.alive)
    yield made
    made.connection.stop()


def refusal(page: Page, leaf: str, document: bytes) -> tuple[str, str]:
    """What the door publishes about a document that is put, retained, where the page's own should be."""
    before = len(page.payloads("applied"))
    assert page.connection.publish(TOPICS[leaf], document, retain=True)
    assert until(lambda: len(page.payloads("applied")) > before)
    assert page.applied is not None
    assert len(page.applied.refused_why.split()) > 4, "a refusal is a sentence"
    return page.applied.refused, page.applied.refused_topic


@pytest.mark.parametrize("name", ROSTERS)
def test_roster_is_refused_and_the_running_one_stays(door: Door, page: Page, name: str) -> None:
    make, reason = ROSTERS[name]
    assert refusal(page, "roster", make(door)) == (reason, "roster")
    assert page.applied is not None
    assert (page.applied.generation, page.applied.people) == (5, 1)
    assert until(lambda: ("notice", "roster_refused") in page.happened())
    door.camera.showing = "mallory"
    assert until(lambda: ("denied", "unknown_face") in page.happened())
    assert door.relay.times_on == 0
    door.camera.showing = ""
    time.sleep(1.2)
    door.camera.showing = "ana"
    assert until(lambda: door.relay.times_on == 1), "who was let in before still is"


@pytest.mark.parametrize("name", BUNDLES)
def test_bundle_is_refused_and_the_running_one_stays(door: Door, page: Page, name: str) -> None:
    make, reason = BUNDLES[name]
    assert refusal(page, "model", make(door)) == (reason, "model")
    assert page.applied is not None
    assert (page.applied.encoder_id, page.applied.model_version) == (door.encoder_id, "1.0.0")
    assert until(lambda: ("notice", "model_refused") in page.happened())


def test_a_cleared_roster_topic_erases_nobody(door: Door, page: Page) -> None:
    assert page.connection.publish(TOPICS["roster"], b"", retain=True)
    door.camera.showing = "ana"
    assert until(lambda: door.relay.times_on == 1)


def test_a_refused_roster_is_not_taken_after_a_restart(door: Door, page: Page) -> None:
    assert refusal(page, "roster", door.roster(4, "mallory")) == ("older_generation", "roster")
    door.stop()
    page.heard.clear()
    door.start_lock()
    door.start()
    # The broker delivers the retained attack again; the door starts from its own disk.
    assert until(lambda: page.applied is not None and page.applied.refused == "older_generation")
    assert page.applied is not None
    assert page.applied.generation == 5


def test_the_next_good_roster_clears_the_refusal(door: Door, page: Page) -> None:
    assert refusal(page, "roster", door.roster(4, "mallory")) == ("older_generation", "roster")
    assert page.connection.publish(TOPICS["roster"], door.roster(6, "ana", "ben"), retain=True)
    assert until(lambda: page.applied is not None and page.applied.generation == 6)
    assert page.applied is not None
    assert (page.applied.refused, page.applied.people) == ("", 2)


def test_a_new_encoder_waits_for_its_roster_and_both_switch_together(door: Door, page: Page) -> None:
    bundle = toy_bundle(door.site, "2.0.0", b"new")
    assert page.connection.publish(TOPICS["model"], bundle, retain=True)
    time.sleep(0.5)
    assert page.applied is not None
    assert page.applied.model_version == "1.0.0"
    door.camera.showing = "ana"
    assert until(lambda: door.relay.times_on == 1), "the running pair serves until both are there"
    new_id = sha256(b"new").hexdigest()
    assert page.connection.publish(TOPICS["roster"], door.roster(6, "ana", encoder_id=new_id), retain=True)
    assert until(lambda: page.applied is not None and page.applied.model_version == "2.0.0")
    assert page.applied is not None
    assert (page.applied.generation, page.applied.encoder_id) == (6, new_id)
