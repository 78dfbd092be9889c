"""Home Assistant itself, against a whole door on a real broker: its schemas, its templates, its entities.

The environment is made once, in the cache, from tests/homeassistant.txt (two minutes and half a gigabyte). Where
Python 3.13 is missing, test_discovery.py still holds the payload to Home Assistant's rules as they were read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from device.discovery import EVENT_TYPES, discovery
from firmware_config.assets import default_cache
from firmware_config.messages import Topics
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.homeassistant, pytest.mark.timeout(900)]

NEEDED = (3, 13)
"""What the files of tests/homeassistant.txt are built for."""
REQUIREMENTS = Path(__file__).parents[1] / "homeassistant.txt"
PROGRAM = Path(__file__).parents[1] / "house.py"
RECONNECT_S = 30.0
"""Home Assistant itself looks for a lost broker every 10 s."""


def find_python() -> str:
    """Python 3.13, or: the test is skipped."""
    installed = sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python"))
    for candidate in (sys.executable, shutil.which("python3.13"), *map(str, installed)):
        asked = "import sys, venv, ensurepip; print(sys.version_info[:2])"
        if candidate is None:
            continue
        said = subprocess.run([candidate, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()
        if said == str(NEEDED):
            return candidate
    pytest.skip("this test needs Python 3.13 with venv, as Home Assistant does: apt-get install python3.13-venv")


@pytest.fixture(scope="session")
def environment() -> str:
    """A Python that has Home Assistant, from the cache or made now."""
    listed = sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = default_cache() / f"homeassistant-{listed}"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return str(python)
    found = find_python()
    shutil.rmtree(folder, ignore_errors=True)
    # Home Assistant 2026.2.3 asks for 3.13.2 and runs on 3.13.0; the index holds a wheel for each line of the list.
    made = subprocess.run([found, "-m", "venv", folder], capture_output=True, text=True, check=False)
    options = ["--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--ignore-requires-python"]
    if made.returncode == 0:
        install = [python, "-m", "pip", "install", *options, "-r", REQUIREMENTS]
        made = subprocess.run(install, capture_output=True, text=True, check=False)
    if made.returncode:
        sentence = f"Home Assistant could not be installed from the package index: {made.stderr.strip()[-500:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    (folder / "ready").touch()
    return str(python)


class House:
    """One run of Home Assistant."""

    def __init__(self, python: str, folder: Path, port: int) -> None:
        folder.mkdir(exist_ok=True)
        self.heard_before = 0
        self._log = (folder / "house.log").open("a")
        self._process = subprocess.Popen(
            [python, str(PROGRAM), str(folder), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        started = self._process.stdout.readline()
        assert started.startswith('["started"'), (folder / "house.log").read_text()

    def ask(self, *request: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def heard(self) -> list[list[str]]:
        """[event type, reason] of what automations of this test would have run on."""
        events: list[list[str]] = self.ask("heard")
        return events[self.heard_before :]

    def state(self, entity: str) -> str | None:
        found = self.ask("states").get(entity, {}).get("state")
        return found if found is None else str(found)

    def becomes(self, entity: str, state: str, timeout_s: float = RECONNECT_S) -> bool:
        return until(lambda: self.state(entity) == state, timeout_s=timeout_s, step_s=0.1)

    def stop(self) -> None:
        self._process.communicate('["stop"]\n', timeout=30)
        self._log.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One for all tests here, because starting Home Assistant takes 10 s and more. It keeps nothing on disk."""
    with Mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def running_house(environment: str, broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(environment, tmp_path_factory.mktemp("house"), broker.port)
    yield made
    made.stop()


@pytest.fixture
def house(running_house: House) -> House:
    running_house.heard_before = len(running_house.heard())
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
    assert until(lambda: [reason for _, reason in house.heard()] == reasons)


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
    late = House(environment, tmp_path / "late", broker.port)
    try:
        assert late.becomes("lock.front", "locked")
    finally:
        late.stop()
