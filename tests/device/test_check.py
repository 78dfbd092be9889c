"""`latchkey-device check`: every part by itself, with what to do about what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from admin_ui.authority import Role
from device import check as checking
from device.check import Finding, check
from tests.brokers import Mosquitto, TlsMosquitto
from tests.doors import TOPICS, Door, Page
from tests.waiting import until

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def door(tmp_path: Path, broker: Mosquitto) -> Iterator[Door]:
    made = Door(tmp_path, broker.settings)
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "WAIT_S", 3.0)


def written(door: Door, *more: str) -> Path:
    path = door.folder / "door.toml"
    lines = ['pairing = "pairing"', 'state = "state"', 'models = "default.latchkey"', *more]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def by_part(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.part: finding for finding in findings}


def ground(pins: MockFactory, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed switch: the mock pin alone would follow its pull-up whenever somebody begins to read it."""
    pin = pins.pin(number)
    pin.drive_low()
    monkeypatch.setattr(pin, "drive_high", pin.drive_low)


WIRED = ("[lock]", 'kind = "gpio"', "contact_pin = 27", "exit_pin = 22")


def test_the_wires_of_a_door_with_its_own_relay_are_read(
    door: Door, pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert by_part(check(written(door, *WIRED)))["lock"].sentence.endswith("The contact on GPIO 27 says open.")
    ground(pins, 27, monkeypatch)
    assert by_part(check(written(door, *WIRED)))["lock"].sentence.endswith("The contact on GPIO 27 says closed.")


def test_a_button_that_is_stuck_is_found(door: Door, pins: MockFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    ground(pins, 22, monkeypatch)
    found = by_part(check(written(door, *WIRED)))["lock"]
    assert (found.ok, found.sentence) == (False, "The exit button on GPIO 22 is down.")


def test_a_door_in_use_is_found_well_while_its_daemon_runs(door: Door, broker: Mosquitto) -> None:
    page = Page(broker.settings, door.door_key)
    assert page.connection.publish(TOPICS["roster"], door.roster(4, "ana", "ben"), retain=True)
    door.start_lock()
    door.start()
    assert until(lambda: page.applied is not None and page.applied.generation == 4)
    page.connection.stop()
    found = by_part(check(written(door)))
    for part in ("settings", "state", "pairing", "key", "audit", "roster", "broker", "lock"):
        assert found[part].ok, found[part]
    assert found["pairing"].sentence == "This is home/front."
    assert found["roster"].sentence == "Generation 4, 2 people."
    assert "LOCKED" in found["lock"].sentence


def test_each_thing_that_is_wrong_gets_an_advice(door: Door, broker: Mosquitto) -> None:
    door.settings.state.mkdir()
    (door.settings.state / "audit.log").write_text("{}\n", encoding="utf-8")
    found = by_part(check(written(door, "[camera]", 'source = "/dev/video99"')))
    assert not found["audit"].ok
    assert "start the daemon" in found["audit"].advice.lower()
    assert not found["camera"].ok
    assert not found["roster"].ok
    assert "enrol" in found["roster"].advice
    assert found["broker"].ok
    assert not found["lock"].ok
    assert "powered" in found["lock"].advice


def test_a_broker_that_is_down_is_named(door: Door, broker: Mosquitto) -> None:
    broker.stop()
    found = by_part(check(written(door)))
    assert not found["broker"].ok
    assert broker.settings.url in found["broker"].sentence
    assert "pairing.toml" in found["broker"].advice
    assert "lock" not in found, "without a broker nothing is known about the lock"


def test_a_dead_locks_leftovers_do_not_pass_for_a_lock(door: Door, broker: Mosquitto) -> None:
    lock = door.start_lock()
    assert lock.connection.wait(20)
    page = Page(broker.settings, door.door_key)
    assert until(lambda: page.payloads("lock/challenge"))
    page.connection.stop()
    door.stop()
    found = by_part(check(written(door)))
    assert not found["lock"].ok


def test_an_unpaired_door_is_told_so(door: Door) -> None:
    (door.folder / "pairing" / "pairing.toml").unlink()
    found = by_part(check(written(door)))
    assert not found["pairing"].ok
    assert "latchkey-admin door add" in found["pairing"].sentence


def test_a_tampered_bundle_is_found(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.outfit.release_keys", lambda: [door.release.public])
    data = bytearray(door.bundle.read_bytes())
    data[len(data) // 2] ^= 1
    door.bundle.write_bytes(bytes(data))
    found = by_part(check(written(door)))
    assert not found["model"].ok
    assert "admin page" in found["model"].advice


def test_a_line_of_a_finding_reads_well() -> None:
    finding = Finding("lock", False, "No lock answers.", "Look at its power.")
    assert str(finding) == "PROBLEM lock      No lock answers.\n                  Look at its power."


@pytest.mark.parametrize(("days", "well", "says"), [(90, True, "good until"), (30, False, "door renew front")])
def test_a_certificate_that_ends_soon_is_told(tmp_path: Path, days: int, well: bool, says: str) -> None:
    broker = TlsMosquitto(tmp_path / "tls")
    door = Door(tmp_path, broker.client(Role.DOOR, TOPICS.door, lasts=timedelta(days=days)))
    try:
        finding = by_part(check(written(door)))["identity"]
    finally:
        door.stop()
    assert finding.ok is well
    assert says in str(finding)
