"""A door and somebody who listens as Home Assistant does: births, brokers that go and come, and what is obeyed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device import homeassistant
from device.discovery import COMMAND_LEAF, STATUS_TOPIC, discovery_topic
from device.homeassistant import GOOD_FOR_S
from firmware_config.settings import LockSettings
from tests.brokers import Mosquitto
from tests.device.listener import NO_COMMANDS, Listener, knows_ana
from tests.doors import TOPICS, Door, Page
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("settled")]

APPEARS_S = 5.0
"""How soon discovery and state must be there after Home Assistant or a broker starts (the project's aim)."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Keeps nothing on disk: what it forgets, the door must say again."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto) -> Iterator[Door]:
    made = Door(tmp_path, broker.settings)
    yield made
    made.stop()


@pytest.fixture
def page(door: Door, broker: Mosquitto) -> Iterator[Page]:
    made = Page(broker.settings, door.door_key)
    yield made
    made.connection.stop()


@pytest.fixture
def listen(broker: Mosquitto) -> Iterator[Callable[[], Listener]]:
    made: list[Listener] = []

    def start() -> Listener:
        made.append(Listener(broker.settings))
        assert made[-1].connection.wait(20)
        return made[-1]

    yield start
    for listener in made:
        listener.connection.stop()


@pytest.fixture
def listener(door: Door, page: Page, listen: Callable[[], Listener]) -> Listener:
    """Beside a door that lets Home Assistant unlock."""
    door.start_lock()
    door.start()
    knows_ana(door, page, allow_home_assistant_unlock=True)
    made = listen()
    assert until(lambda: made.lock_state() == "LOCKED")
    return made


def test_home_assistant_first_then_the_door(door: Door, listen: Callable[[], Listener]) -> None:
    listener = listen()
    door.start_lock()
    time.sleep(1.0)
    door.start()
    assert until(lambda: listener.lock_state() == "LOCKED", APPEARS_S)


def test_door_first_then_home_assistant(door: Door, page: Page, listen: Callable[[], Listener]) -> None:
    door.start_lock()
    door.start()
    assert until(lambda: page.health is not None and page.health.lock == "LOCKED")
    listener = listen()
    assert until(lambda: listener.lock_state() == "LOCKED", APPEARS_S)


def test_a_birth_brings_everything_again_though_the_broker_lost_it(listener: Listener, page: Page) -> None:
    for topic in (discovery_topic(TOPICS), TOPICS["health"], TOPICS["availability"]):
        assert page.connection.publish(topic, b"", retain=True)
    time.sleep(0.5)
    listener.forget()
    listener.ask(b"offline", STATUS_TOPIC)
    time.sleep(0.5)
    assert not listener.entities
    listener.ask(b"online", STATUS_TOPIC)
    assert until(lambda: listener.lock_state() == "LOCKED", APPEARS_S)


def test_an_empty_broker_comes_back_and_everything_is_there_in_time(listener: Listener, broker: Mosquitto) -> None:
    broker.stop()
    assert until(lambda: not listener.connection.connected)
    listener.forget()
    broker.start()
    assert until(lambda: listener.lock_state() == "LOCKED", APPEARS_S)


def test_a_door_that_dies_is_unavailable(listener: Listener, door: Door) -> None:
    door.stop()
    assert until(lambda: listener.lock_state() == "unavailable")


def test_an_unlock_that_is_allowed_opens_and_is_told(listener: Listener, door: Door, page: Page) -> None:
    listener.unlock()
    assert until(lambda: door.relay.times_on == 1)
    assert until(lambda: page.happened() == [("notice", "home_assistant_unlock")])
    assert page.detail(page.events()[0]).by == "Home Assistant"
    assert until(lambda: [result.accepted for result in page.lock_results()] == [True])


def test_nothing_opens_unless_the_roster_says_so(listener: Listener, door: Door, page: Page) -> None:
    knows_ana(door, page, 2)
    for _ in range(20):
        listener.unlock()
    assert until(lambda: page.happened() == [("denied", "not_allowed")])
    listener.ask(b"LOCK")
    time.sleep(1.0)
    assert page.happened() == [("denied", "not_allowed")], "an automation gone wild fills no audit"
    assert door.relay.times_on == 0


def test_without_a_roster_nothing_is_allowed(door: Door, page: Page, listen: Callable[[], Listener]) -> None:
    door.start_lock()
    door.start()
    listener = listen()
    assert until(lambda: listener.lock_state() == "LOCKED")
    listener.unlock()
    assert until(lambda: page.happened() == [("denied", "not_allowed")])
    assert door.relay.times_on == 0


def test_a_retained_unlock_is_ignored_at_every_start(listener: Listener, door: Door, page: Page) -> None:
    listener.unlock(retain=True)
    assert until(lambda: door.relay.times_on == 1), "when it is said it is no different from any other"
    door.stop()
    door.start_lock()
    door.start()
    assert until(lambda: listener.lock_state() == "LOCKED")
    time.sleep(1.0)
    assert door.relay.times_on == 1


def test_an_unlock_held_up_on_the_way_opens_nothing(listener: Listener, door: Door, page: Page) -> None:
    for seconds_ago in (GOOD_FOR_S + 1, 3600.0, -GOOD_FOR_S - 1):
        listener.unlock(seconds_ago)
    listener.ask(b"LOCK")
    reasons = ["stale_command", "home_assistant_lock"]
    assert until(lambda: [reason for _, reason in page.happened()] == reasons)
    assert door.relay.times_on == 0


def test_an_unlock_that_bears_no_time_opens_nothing(listener: Listener, door: Door, page: Page) -> None:
    listener.ask(b"UNLOCK")
    listener.ask(b'{"command":"UNLOCK"}')
    listener.ask(b"LOCK")
    reasons = ["undated_command", "home_assistant_lock"]
    assert until(lambda: [reason for _, reason in page.happened()] == reasons)
    assert door.relay.times_on == 0


def test_an_unlock_right_after_a_reconnection_opens_nothing(
    listener: Listener, door: Door, page: Page, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a broken connection held up comes within seconds of the next one."""
    monkeypatch.setattr(homeassistant, "SETTLE_S", 3600.0)
    listener.unlock()
    listener.ask(b"LOCK")
    reasons = ["just_connected", "home_assistant_lock"]
    assert until(lambda: [reason for _, reason in page.happened()] == reasons), "a late LOCK opens nothing"
    assert door.relay.times_on == 0
    daemon = door.daemon
    assert daemon is not None
    broker.stop()
    assert until(lambda: not daemon._link.connected)
    assert daemon._link.connection.up_for_s == 0.0
    back = time.monotonic()
    broker.start()
    assert until(lambda: daemon._link.connected and listener.connection.connected)
    assert 0.0 < daemon._link.connection.up_for_s <= time.monotonic() - back, "counted anew"


def test_an_unlock_from_a_home_assistant_that_is_gone_opens_nothing_until_its_birth(
    listener: Listener, door: Door, page: Page
) -> None:
    listener.ask(b"offline", STATUS_TOPIC)
    listener.unlock()
    assert until(lambda: page.happened() == [("denied", "home_assistant_offline")])
    assert door.relay.times_on == 0
    listener.ask(b"online", STATUS_TOPIC)
    listener.unlock()
    assert until(lambda: door.relay.times_on == 1)


def test_a_birth_that_was_missed_with_the_connection_shuts_nobody_out(
    listener: Listener, door: Door, page: Page, broker: Mosquitto
) -> None:
    listener.ask(b"offline", STATUS_TOPIC)
    listener.unlock()
    assert until(lambda: ("denied", "home_assistant_offline") in page.happened())
    broker.stop()
    assert until(lambda: not listener.connection.connected)
    listener.connection._on_connected = lambda: None  # its birth goes unheard
    broker.start()
    assert until(lambda: listener.lock_state() == "LOCKED" and page.connection.connected, APPEARS_S)
    daemon = door.daemon
    assert daemon is not None
    assert until(lambda: daemon._link.connected)
    listener.unlock()
    assert until(lambda: door.relay.times_on == 1)


def test_an_unlock_said_while_the_door_was_away_never_comes(listener: Listener, door: Door, page: Page) -> None:
    """Nobody keeps it: the door's session is clean and its subscription of QoS 0, though it was said with QoS 1."""
    door.stop()
    said = json.dumps({"command": "UNLOCK", "at": time.time() + GOOD_FOR_S}).encode()
    assert listener.connection.publish(TOPICS[COMMAND_LEAF], said, qos=1)
    answered = listener.connection._unanswered
    assert answered is not None
    assert until(answered.is_published)
    listener.known.clear()
    door.start_lock()
    door.start()
    assert until(lambda: listener.lock_state() == "LOCKED", 10)
    listener.ask(b"LOCK")
    assert until(lambda: ("notice", "home_assistant_lock") in page.happened())
    assert [reason for _, reason in page.happened()] == ["home_assistant_lock"]
    assert door.relay.times_on == 0


def test_an_unlock_said_twice_opens_once(listener: Listener, door: Door, page: Page) -> None:
    said = json.dumps({"command": "UNLOCK", "at": time.time()}).encode()
    listener.ask(said)
    listener.ask(said)
    listener.ask(b"LOCK")
    reasons = ["home_assistant_unlock", "stale_command", "home_assistant_lock"]
    assert until(lambda: [reason for _, reason in page.happened()] == reasons)
    assert door.relay.times_on == 1


def test_what_is_no_command_does_nothing(listener: Listener, door: Door, page: Page) -> None:
    for payload in NO_COMMANDS:
        listener.ask(payload)
    listener.ask(b"LOCK")
    assert until(lambda: page.happened() == [("notice", "home_assistant_lock")]), "and the door goes on"
    assert door.relay.times_on == 0


def test_lock_ends_the_hold(listener: Listener, door: Door, page: Page) -> None:
    knows_ana(door, page, 2, allow_home_assistant_unlock=True, hold_ms=30_000)
    listener.unlock()
    assert until(lambda: listener.lock_state() == "UNLOCKED")
    listener.ask(b"LOCK")
    assert until(lambda: listener.lock_state() == "LOCKED")
    assert not door.relay.is_on
    assert until(lambda: page.happened()[1:] == [("notice", "home_assistant_lock")])


def test_a_relay_on_the_doors_own_board_is_shown_and_obeys_too(
    door: Door, page: Page, listen: Callable[[], Listener]
) -> None:
    door.settings = door.settings.model_copy(update={"lock": LockSettings(kind="gpio")})
    door.start()
    knows_ana(door, page, allow_home_assistant_unlock=True, hold_ms=30_000)
    listener = listen()
    assert until(lambda: listener.lock_state() == "LOCKED")
    listener.unlock()
    assert until(lambda: listener.lock_state() == "UNLOCKED")
    listener.ask(b"LOCK")
    assert until(lambda: listener.lock_state() == "LOCKED")
    assert not door.relay.is_on


def test_what_it_reads_names_nobody(listener: Listener, door: Door, page: Page) -> None:
    door.camera.showing = "ana"
    assert until(lambda: ("granted", "granted") in page.happened())
    assert until(lambda: TOPICS["event"] in listener.known)
    event = json.loads(listener.known[TOPICS["event"]].payload)
    assert set(event) == {"id", "at", "outcome", "reason", "detail"}
    for message in listener.known.values():
        assert b"ana" not in message.payload.lower()
        assert b"distance" not in message.payload
