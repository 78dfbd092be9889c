"""A disk that takes nothing more, with the whole door around it: members get in for a bounded while, and it is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import device.shelf
from device.audit import read
from device.ledger import Record, audit_key
from device.shelf import AUDIT_FOLDER
from firmware_config.errors import DiskFault
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.waiting import until

pytestmark = pytest.mark.broker

COOL_DOWN_S = 2.0
"""More than somebody stays who has been let in, less than until the same person comes once more."""


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
    made = Page(broker.settings, door.door_key)
    yield made
    made.connection.stop()


@pytest.fixture
def opened(door: Door, page: Page) -> Door:
    """A door that knows Ana and Ben, with a lock that answers."""
    door.start_lock()
    assert page.connection.publish(TOPICS["roster"], door.roster(1, "ana", "ben", cooldown_s=COOL_DOWN_S), retain=True)
    daemon = door.start()
    assert until(lambda: page.applied is not None and page.applied.generation == 1)
    assert until(lambda: daemon._link.lock.alive)
    return door


def fill_the_disk(door: Door) -> Callable[[], None]:
    """No record can be written any more -> what makes room again."""
    assert door.daemon is not None
    audit = door.daemon._journal.stores.audit
    assert audit is not None
    working = audit.append

    def full_disk(*_: object, **__: object) -> Record:
        raise DiskFault("The disk is full.")

    audit.append = full_disk  # type: ignore[method-assign]
    return lambda: setattr(audit, "append", working)


def visit(door: Door, who: str, *, gets_in: bool = False) -> None:
    """Whoever gets in stays until the door opens, and no longer: on a busy machine twenty pictures may take less than
    the lock does, or more than the cool-down."""
    before, opened = door.camera.taken, door.relay.times_on
    door.camera.showing = who
    if gets_in:
        assert until(lambda: door.relay.times_on > opened)
    else:
        assert until(lambda: door.camera.taken >= before + 20)
    door.camera.showing = ""
    time.sleep(1.2)


def problems(page: Page) -> str:
    return " ".join(page.health.problems) if page.health is not None else ""


def recorded(door: Door, kind: str) -> list[Record]:
    folder = door.settings.state / AUDIT_FOLDER
    return [record for record in read(folder, audit_key(door.door_key)) if record["kind"] == kind]


def test_members_get_in_it_is_said_and_everything_is_written_later(opened: Door, page: Page) -> None:
    make_room = fill_the_disk(opened)
    for who in ("ana", "somebody else", "ben"):
        visit(opened, who, gets_in=who != "somebody else")
    assert opened.relay.times_on == 2
    wanted = [("granted", "granted"), ("denied", "unknown_face"), ("granted", "granted")]
    assert until(lambda: page.happened() == wanted), "the page is told at once"
    assert until(lambda: "The disk is full. 3 records wait in memory" in problems(page))
    assert recorded(opened, "event") == []
    make_room()
    assert until(lambda: [record["reason"] for record in recorded(opened, "event")] == [r for _, r in wanted])
    assert until(lambda: "disk is full" not in problems(page))
    assert page.happened() == wanted
    assert opened.codes == []


def test_who_is_erased_while_the_disk_is_full_goes_as_soon_as_it_is_not(
    opened: Door, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes, mode: int = 0o600) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(device.shelf, "write_atomic", full)
        assert page.connection.publish(TOPICS["roster"], opened.roster(2, "ana"), retain=True)
        assert until(lambda: page.applied is not None and page.applied.refused == "not_saved")
        visit(opened, "ben", gets_in=True)
    assert until(lambda: page.applied is not None and page.applied.generation == 2), "nobody sends it once more"
    assert page.applied is not None
    assert page.applied.refused == ""
    visit(opened, "ben")
    assert until(lambda: ("denied", "unknown_face") in page.happened())
    assert opened.relay.times_on == 1
    assert [record["left"] for record in recorded(opened, "roster_taken")] == [0, 1]


def test_a_disk_that_stays_full_shuts_the_door_at_a_bound(
    opened: Door, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.journal.OWED_LIMIT", 2)
    make_room = fill_the_disk(opened)
    for number, who in enumerate(("ana", "ben", "ana", "ben"), 1):
        visit(opened, who, gets_in=number <= 2)
    assert opened.relay.times_on == 2
    assert until(lambda: "nobody is let in until" in problems(page))
    make_room()
    assert until(lambda: [record["count"] for record in recorded(opened, "records_missed")] == [2])
    assert [record["outcome"] for record in recorded(opened, "event")] == ["granted", "granted"]
    visit(opened, "ana", gets_in=True)
    assert opened.relay.times_on == 3
