"""Home Assistant itself, against a whole door on a real broker: its schemas, its templates, its entities.

Where Python 3.13 is missing, test_discovery.py still holds the payload to Home Assistant's rules as they were read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device.discovery import EVENT_TYPES, discovery
from firmware_config.messages import Topics
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.houses import House, home_assistant_python
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.homeassistant, pytest.mark.timeout(900)]
pytestmark.append(pytest.mark.usefixtures("settled"))


@pytest.fixture(scope="session")
def environment() -> str:
    return home_assistant_python()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One for all tests here, because starting Home Assistant takes 10 s and more. It keeps nothing on disk."""
    with Mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def running_house(environment: str, broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(environment, tmp_path_factory.mktemp("house"), broker.settings)
    yield made
    made.stop()


@pytest.fixture
def house(running_house: House) -> House:
    """With the last test's door gone, so that nothing of it is heard in this one."""
    assert until(lambda: running_house.state("lock.front") in {None, "unavailable"}, timeout_s=30, step_s=0.1)
    running_house.heard_before = len(running_house.ask("heard"))
    return running_house


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto) -> Iterator[Door]:
    made = Door(tmp_path, broker.settings)
    yield made
    made.stop()


@pytest.fixture
def page(door: Door, broker: Mosquitto) -> Iterator[Page]:
    made = Page(broker.settings, door.door_key)
    yield made
    door.stop()
    for leaf in ("roster", "applied", "health"):  # the next test's door has other keys
        made.connection.publish(TOPICS[leaf], b"", retain=True)
    made.connection.stop()


def open_for_business(door: Door, page: Page, generation: int = 1, **policy: Any) -> None:
    assert page.connection.publish(TOPICS["roster"], door.roster(generation, "ana", **policy), retain=True)
    if door.daemon is None:
        door.start_lock()
        door.start()
    assert until(lambda: page.applied is not None and page.applied.generation == generation)
    assert until(lambda: page.health is not None and page.health.lock == "LOCKED")


def test_its_own_schemas_take_the_device_and_refuse_a_wrong_one(house: House) -> None:
    for topics in (TOPICS, Topics("a_b", "c-d")):
        assert house.ask("check", discovery(topics, "1.0").decode()) == []
    wrong = json.loads(discovery(TOPICS, "1.0"))
    del wrong["origin"]
    wrong["components"]["contact"]["device_class"] = "gate"
    wrong["components"]["lock"]["payload_unlatch"] = "OPEN"
    refused = house.ask("check", json.dumps(wrong))
    assert len(refused) == 3, refused


def test_every_entity_appears_with_the_doors_state(house: House, door: Door, page: Page) -> None:
    open_for_business(door, page)
    assert house.becomes("lock.front", "locked")
    assert house.becomes("binary_sensor.front_camera", "on")
    assert house.becomes("binary_sensor.front_problem", "off")
    found = house.ask("states")
    components = json.loads(discovery(TOPICS, "1.0"))["components"]
    assert {entry["unique_id"] for entry in found.values()} == {each["unique_id"] for each in components.values()}
    assert {entry["device"] for entry in found.values()} == {"Front"}
    for entity, state in {
        "binary_sensor.front_connection": "on",
        "binary_sensor.front_forced_open": "off",
        "binary_sensor.front_held_open": "off",
        "binary_sensor.front_guessing": "off",
        "binary_sensor.front_contact": "unknown",
    }.items():
        assert found[entity]["state"] == state, entity
    assert found["event.front_event"]["attributes"]["event_types"] == list(EVENT_TYPES)
    door.camera.trouble = "The camera 0 is not there; look at its cable."
    assert house.becomes("binary_sensor.front_problem", "on")
    assert house.ask("states")["binary_sensor.front_problem"]["attributes"]["problems"] == [door.camera.trouble]
    assert house.becomes("binary_sensor.front_camera", "off")
    door.stop()
    assert house.becomes("lock.front", "unavailable")
    assert house.state("binary_sensor.front_connection") == "off"


def test_an_event_that_the_door_repeats_is_heard_once(house: House, door: Door, page: Page) -> None:
    open_for_business(door, page)
    assert house.becomes("lock.front", "locked")
    door.camera.showing = "ana"
    assert until(lambda: ["access_granted", "granted"] in house.heard())
    door.camera.showing = ""
    assert house.becomes("lock.front", "locked")
    door.camera.trouble = "The camera 0 is not there; look at its cable."
    assert until(lambda: ["camera_lost", "camera_lost"] in house.heard())
    # Nobody stores them, so the door says both again and again.
    first = page.events()[0].id
    assert until(lambda: [event.id for event in page.events()].count(first) >= 3, timeout_s=30)
    assert house.heard() == [["access_granted", "granted"], ["camera_lost", "camera_lost"]]


def test_its_unlock_opens_only_where_the_roster_allows(house: House, door: Door, page: Page) -> None:
    open_for_business(door, page)
    assert house.becomes("lock.front", "locked")
    assert house.ask("call", "unlock", "lock.front") == "called"
    assert until(lambda: page.happened() == [("denied", "not_allowed")])
    assert door.relay.times_on == 0
    open_for_business(door, page, 2, allow_home_assistant_unlock=True, hold_ms=20_000)
    assert house.ask("call", "unlock", "lock.front") == "called"
    assert house.becomes("lock.front", "unlocked")
    assert door.relay.times_on == 1
    assert house.ask("call", "lock", "lock.front") == "called"
    assert house.becomes("lock.front", "locked", 10)
    reasons = ["not_allowed", "home_assistant_unlock", "home_assistant_lock"]
    until(lambda: len(house.heard()) >= len(reasons))
    assert [reason for _, reason in house.heard()] == reasons, page.happened()


def test_a_broker_that_comes_back_empty_brings_everything_back(
    house: House, door: Door, page: Page, broker: Mosquitto
) -> None:
    open_for_business(door, page)
    assert house.becomes("lock.front", "locked")
    broker.stop()
    assert house.becomes("lock.front", "unavailable")
    broker.start()
    assert house.becomes("lock.front", "locked")
    assert house.becomes("binary_sensor.front_problem", "off")


def test_home_assistant_that_starts_after_the_door_finds_it(
    environment: str, door: Door, page: Page, broker: Mosquitto, tmp_path: Path
) -> None:
    open_for_business(door, page)
    late = House(environment, tmp_path / "late", broker.settings)
    try:
        assert late.becomes("lock.front", "locked")
    finally:
        late.stop()
