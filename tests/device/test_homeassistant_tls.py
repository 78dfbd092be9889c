"""Home Assistant itself at the broker that `latchkey-admin broker write` sets up: its certificate, its topics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from admin_ui.authority import Role
from device.actuator import LockActuator
from firmware_config.pairing import load_lock
from tests.brokers import TlsMosquitto
from tests.doors import TOPICS, Door, Page
from tests.houses import House, home_assistant_python
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.homeassistant, pytest.mark.timeout(900)]
pytestmark.append(pytest.mark.usefixtures("settled"))


def test_with_its_own_certificate_it_sees_the_door_and_opens_it(tmp_path: Path) -> None:
    python = home_assistant_python()
    with TlsMosquitto(tmp_path / "site") as broker:
        door = Door(tmp_path, broker.client(Role.DOOR, "front"))
        pairing = replace(load_lock(tmp_path / "pairing"), broker=broker.client(Role.LOCK, "front"))
        lock, stop = LockActuator(pairing, door.relay), Event()
        door._spawn(lambda: lock.run(stop), stop.set)
        page = Page(broker.settings, door.door_key)
        house = House(python, tmp_path / "house", broker.client(Role.HOME_ASSISTANT, "home-assistant"))
        try:
            door.start()
            allowed = door.roster(1, "ana", allow_home_assistant_unlock=True, hold_ms=20_000)
            assert page.connection.publish(TOPICS["roster"], allowed, retain=True)
            assert until(lambda: page.applied is not None and page.applied.generation == 1)
            assert house.becomes("lock.front", "locked")
            assert house.ask("call", "unlock", "lock.front") == "called"
            assert house.becomes("lock.front", "unlocked")
            assert until(lambda: house.heard() == [["home_assistant_unlock", "home_assistant_unlock"]])
        finally:
            house.stop()
            page.connection.stop()
            door.stop()
