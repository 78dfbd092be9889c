"""Somebody on the broker who only makes noise: neither the door's disk nor the page's memory fills with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_config.broker import Incoming
from firmware_config.events import Event
from firmware_config.messages import LockResult, encode
from tests.admin_ui.silent_desk import page_link
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.waiting import until

pytestmark = pytest.mark.broker

TIMES = 30


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
    """A door that knows Ana and let her in once."""
    made = Page(broker.settings, door.door_key)
    door.start_lock()
    daemon = door.start()
    assert made.connection.publish(TOPICS["roster"], door.roster(1, "ana"), retain=True)
    assert until(lambda: made.applied is not None and made.applied.generation == 1)
    assert until(lambda: daemon._link.lock.alive)
    door.camera.showing = "ana"
    assert until(lambda: made.happened() == [("granted", "granted")])
    door.camera.showing = ""
    yield made
    made.connection.stop()


def test_a_bad_roster_again_and_again_is_one_event(page: Page) -> None:
    said = len(page.payloads("applied"))
    for _ in range(TIMES):
        assert page.connection.publish(TOPICS["roster"], b"noise")
    assert until(lambda: len(page.payloads("applied")) >= said + TIMES)
    assert until(lambda: ("notice", "roster_refused") in page.happened())
    assert page.happened().count(("notice", "roster_refused")) == 1


def test_another_reason_is_another_event(page: Page, door: Door) -> None:
    assert page.connection.publish(TOPICS["roster"], b"noise")
    assert page.connection.publish(TOPICS["roster"], door.roster(1, "mallory"))
    assert until(lambda: page.happened().count(("notice", "roster_refused")) == 2)


def test_a_refusal_in_the_locks_name_is_told_once(page: Page, door: Door) -> None:
    assert door.daemon is not None
    used = door.daemon._link.lock.last_used
    said = encode(LockResult(challenge=used, accepted=False, reason="jammed"))
    for _ in range(TIMES):
        assert page.connection.publish(TOPICS["lock/result"], said)
    # Taken in order: what comes after the noise says that all of it was handled.
    assert page.connection.publish(TOPICS["roster"], b"noise")
    assert until(lambda: ("notice", "roster_refused") in page.happened())
    assert page.happened().count(("notice", "lock_refused")) == 1


def test_what_is_too_large_never_waits_for_the_page(caplog: pytest.LogCaptureFixture) -> None:
    link = page_link()
    event = Event.model_validate({"id": "ab" * 16, "at": "2025-01-01T00:00:00Z", "outcome": "notice", "reason": "x"})
    link._receive(Incoming(TOPICS["event"], b"x" * 1_000_000, retained=False))
    assert link._intake.waiting == 0
    assert "1000000 bytes" in caplog.text
    link._receive(Incoming(TOPICS["event"], encode(event), retained=False))
    assert link._intake.waiting == 1
