"""A door with a contact and an exit button: real daemon, real lock's rule, real broker, and who opens the leaf."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.contact import GRACE_S
from firmware_config.messages import EXIT_PRESSED, Contact, LockState
from firmware_config.settings import LockSettings
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.waiting import until

pytestmark = pytest.mark.broker

EXIT_HOLD_S = 0.3
HELD_S = 1.5
BLIND_S = EXIT_HOLD_S + GRACE_S
"""How long after a start an opening is found and not forced."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", persistence=True) as running:
        yield running


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto) -> Iterator[Door]:
    made = Door(tmp_path, broker.settings)
    made.inputs.leaf = Contact.CLOSED
    yield made
    made.stop()


@pytest.fixture
def page(door: Door, broker: Mosquitto) -> Iterator[Page]:
    made = Page(broker.settings, door.door_key)
    yield made
    made.connection.stop()


def open_up(door: Door, page: Page, kind: str) -> None:
    """Start the door, with the lock on the broker or on its own board, and wait until it hears its contact."""
    lock = LockSettings(kind=kind, exit_hold_s=EXIT_HOLD_S, held_open_s=HELD_S)  # type: ignore[arg-type]
    door.settings = door.settings.model_copy(update={"lock": lock})
    assert page.connection.publish(TOPICS["roster"], door.roster(1, "ana"), retain=True)
    if kind == "mqtt":
        door.start_lock()
    door.start()
    assert until(lambda: page.health is not None and page.health.contact != "unknown" and page.health.people == 1)


@pytest.fixture(params=["mqtt", "gpio"])
def heard(request: pytest.FixtureRequest, door: Door, page: Page) -> Door:
    """A door that hears its contact and knows of no opening before."""
    open_up(door, page, request.param)
    time.sleep(BLIND_S + 0.3)
    return door


def swing(door: Door, seconds: float = 0.5) -> None:
    """The leaf opens and falls to."""
    door.inputs.leaf = Contact.OPEN
    time.sleep(seconds)
    door.inputs.leaf = Contact.CLOSED


def notices(page: Page) -> list[str]:
    return [reason for outcome, reason in page.happened() if outcome == "notice"]


def test_an_owner_walks_through_and_nobody_is_alarmed(heard: Door, page: Page) -> None:
    heard.camera.showing = "ana"
    assert until(lambda: heard.relay.times_on == 1)
    heard.camera.showing = ""
    heard.inputs.leaf = Contact.OPEN
    assert until(lambda: page.health is not None and page.health.contact == "open")
    heard.inputs.leaf = Contact.CLOSED
    assert until(lambda: page.health is not None and page.health.contact == "closed")
    assert page.happened() == [("granted", "granted")]


def test_a_lever_is_told_at_once_and_closing_ends_it(heard: Door, page: Page) -> None:
    heard.inputs.leaf = Contact.OPEN
    assert until(lambda: notices(page) == ["forced_open"], timeout_s=10)
    assert until(lambda: page.health is not None and page.health.forced_open)
    assert page.health is not None
    assert "by force" in page.health.problems[0]
    heard.inputs.leaf = Contact.CLOSED
    assert until(lambda: notices(page) == ["forced_open", "door_closed"])
    assert until(lambda: page.health is not None and not page.health.forced_open)


def test_the_way_out_opens_by_itself_and_is_no_alarm(heard: Door, page: Page) -> None:
    heard.inputs.press()
    assert heard.relay.times_on == 1
    swing(heard)
    assert until(lambda: notices(page) == ["exit_requested"])
    assert until(lambda: not heard.relay.is_on)


def test_a_door_held_open_is_told_and_shown_at_the_door(heard: Door, page: Page) -> None:
    heard.inputs.press()
    heard.inputs.leaf = Contact.OPEN
    assert until(lambda: notices(page) == ["exit_requested", "held_open"])
    assert until(lambda: page.health is not None and page.health.held_open)
    assert until(lambda: page.payloads("hint") == [b"close_door"])
    heard.inputs.leaf = Contact.CLOSED
    assert until(lambda: notices(page)[2:] == ["door_closed"])


def test_an_unlock_from_the_page_is_no_alarm(heard: Door, page: Page) -> None:
    assert page.ask_unlock().ok
    assert until(lambda: heard.relay.times_on == 1)
    swing(heard)
    assert until(lambda: page.health is not None and page.health.contact == "closed")
    assert notices(page) == ["remote_unlock"]


def test_the_button_opens_with_the_broker_down_and_is_no_alarm(heard: Door, page: Page, broker: Mosquitto) -> None:
    assert heard.daemon is not None
    link = heard.daemon._link
    broker.stop()
    assert until(lambda: not link.connected)
    heard.inputs.press()
    assert heard.relay.times_on == 1
    swing(heard)
    assert until(lambda: not heard.relay.is_on)
    broker.start()
    assert until(lambda: link.lock.alive or heard.settings.lock.kind == "gpio")
    assert until(lambda: page.health is not None and page.health.contact == "closed")
    time.sleep(0.5)
    # A lock on the broker cannot be sure that the door hears of a press so late; a wired one has written it down.
    assert set(notices(page)) <= {"exit_requested"}
    assert heard.settings.lock.kind == "mqtt" or until(lambda: notices(page) == ["exit_requested"])
    assert heard.relay.times_on == 1


def test_a_press_while_the_lock_alone_lost_the_broker_is_told_when_it_is_back(door: Door, page: Page) -> None:
    lock = door.start_lock()
    door.settings = door.settings.model_copy(update={"lock": LockSettings(held_open_s=HELD_S)})
    door.start()
    assert until(lambda: page.health is not None and page.health.contact == "closed")
    time.sleep(LockSettings().exit_hold_s + GRACE_S)
    client = lock.connection._client
    client.reconnect_delay_set(1, 1)  # less than a lock may be silent
    wire = client.socket()
    assert wire is not None
    wire.shutdown(socket.SHUT_RDWR)
    assert until(lambda: not lock.connection.connected)
    door.inputs.press()
    door.inputs.leaf = Contact.OPEN
    assert not lock.connection.connected
    assert until(lambda: page.payloads("lock/contact")[-1] == b"OPEN")
    time.sleep(0.5)
    assert notices(page)[:1] == ["exit_requested"]
    assert "forced_open" not in notices(page)


@pytest.mark.parametrize("kind", ["mqtt", "gpio"])
def test_open_at_the_start_is_found_and_not_forced(door: Door, page: Page, kind: str) -> None:
    door.inputs.leaf = Contact.OPEN
    open_up(door, page, kind)
    assert until(lambda: notices(page)[:1] == ["found_open"])
    assert page.health is not None
    assert not page.health.forced_open


def test_a_restart_of_the_door_raises_no_false_alarm(door: Door, page: Page) -> None:
    """The lock stays; the broker has its last contact retained."""
    open_up(door, page, "mqtt")
    time.sleep(BLIND_S)
    door.inputs.press()
    door.inputs.leaf = Contact.OPEN
    assert until(lambda: page.payloads("lock/contact")[-1] == b"OPEN")
    assert door.daemon is not None
    door.daemon.stop.set()
    assert until(lambda: door.codes == [0])
    page.heard.clear()
    door.start()
    assert until(lambda: page.health is not None and page.health.contact == "open")
    time.sleep(0.5)
    assert set(notices(page)) <= {"exit_requested", "found_open"}
    assert page.health is not None
    assert not page.health.forced_open


def test_what_opened_while_the_broker_was_away_is_found_and_not_forced(
    door: Door, page: Page, broker: Mosquitto
) -> None:
    open_up(door, page, "mqtt")
    time.sleep(BLIND_S)
    broker.stop()
    assert until(lambda: door.daemon is not None and not door.daemon._link.connected)
    time.sleep(0.3)
    door.inputs.leaf = Contact.OPEN
    time.sleep(0.3)
    broker.start()
    assert until(lambda: "found_open" in notices(page))
    assert "forced_open" not in notices(page)


def test_a_retained_press_excuses_nothing(door: Door, page: Page) -> None:
    open_up(door, page, "mqtt")
    time.sleep(BLIND_S + 0.3)
    assert page.connection.publish(TOPICS["lock/exit"], EXIT_PRESSED, retain=True)
    assert until(lambda: "exit_requested" in notices(page)), "heard live it is a press"
    assert door.daemon is not None
    door.daemon.stop.set()
    assert until(lambda: door.codes == [0])
    page.heard.clear()
    door.start()
    assert until(lambda: page.health is not None and page.health.contact == "closed")
    time.sleep(BLIND_S + 0.3)
    door.inputs.leaf = Contact.OPEN
    assert until(lambda: notices(page)[-1:] == ["forced_open"])


def test_a_door_with_wires_of_its_own_believes_no_broker(door: Door, page: Page) -> None:
    open_up(door, page, "gpio")
    time.sleep(BLIND_S + 0.3)
    assert page.connection.publish(TOPICS["lock/exit"], EXIT_PRESSED)
    assert page.connection.publish(TOPICS["lock/contact"], b"CLOSED", retain=True)
    door.inputs.leaf = Contact.OPEN
    assert until(lambda: notices(page) == ["forced_open"])


def test_the_state_is_what_is_read_back(door: Door, page: Page) -> None:
    lock = door.start_lock()
    assert until(lambda: page.payloads("lock/state")[-1:] == [b"LOCKED"])
    lock.latch.open(60_000)
    door.inputs.leaf = Contact.OPEN
    assert until(lambda: page.payloads("lock/contact")[-1:] == [b"OPEN"])
    lock.latch.shut()
    time.sleep(0.2)
    assert page.payloads("lock/state")[-1] == b"UNLOCKED", "the bolt is back, the leaf is not"
    door.inputs.leaf = Contact.CLOSED
    assert until(lambda: page.payloads("lock/state")[-1:] == [b"LOCKED"])
    assert lock.latch.state is LockState.LOCKED
