"""What the door does when broker, lock, camera or its own code fails: it stays shut, tells, and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.audit import read
from device.daemon import ERRORS_IN_A_ROW
from device.ledger import Record, audit_key
from device.shelf import AUDIT_FOLDER
from device.sight import Seen
from firmware_config.messages import Applied, Health, decode
from firmware_config.settings import LockSettings
from tests.brokers import Mosquitto
from tests.doors import TOPICS, Door, Page
from tests.staging import look
from tests.visits import knows, open_for_ana_and_ben, publish_roster, visit
from tests.waiting import until

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", persistence=True) as running:
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


def recorded(door: Door, kind: str) -> list[Record]:
    """Records of one kind in the door's audit."""
    folder = door.settings.state / AUDIT_FOLDER
    return [record for record in read(folder, audit_key(door.door_key)) if record["kind"] == kind]


@pytest.fixture
def opened(door: Door, page: Page) -> Door:
    return open_for_ana_and_ben(door, page)


def test_lock_gone_means_lock_offline_and_the_audit_goes_on(door: Door, page: Page) -> None:
    publish_roster(page, door.roster(1, "ana"))
    door.start()
    assert knows(page, 1)
    visit(door, "ana")
    assert until(lambda: page.happened() == [("denied", "lock_offline")])
    assert [record["reason"] for record in recorded(door, "event")] == ["lock_offline"]


def test_broker_down_then_up_delivers_every_event_once(opened: Door, page: Page, broker: Mosquitto) -> None:
    broker.stop()
    assert opened.daemon is not None
    link = opened.daemon._link
    assert until(lambda: not link.connected)
    visit(opened, "ana")
    time.sleep(1.2)
    visit(opened, "somebody else")
    journal = opened.daemon._journal
    assert until(lambda: journal.unsent == 2)
    assert opened.relay.times_on == 0
    assert [record["reason"] for record in recorded(opened, "event")] == ["lock_offline", "unknown_face"]
    broker.start()
    assert until(lambda: len(page.happened()) == 2, timeout_s=20)
    assert page.happened() == [("denied", "lock_offline"), ("denied", "unknown_face")]
    page.acknowledge_all()
    assert until(lambda: journal.unsent == 0)
    sent = len(page.events())
    time.sleep(5.5)
    assert len(page.events()) == sent, "what was acknowledged is not sent again"


def test_after_a_gap_the_door_says_how_it_is_and_not_how_it_was(opened: Door, page: Page, broker: Mosquitto) -> None:
    """The lock is gone when the broker comes back; what was well before the gap must not be told as news."""
    assert until(lambda: page.health is not None and page.health.lock == "LOCKED" and not page.health.problems)
    assert opened.daemon is not None
    answered = opened.daemon._link.connection._unanswered
    assert answered is not None
    assert until(answered.is_published), "else it would come again with the connection, as MQTT wants it"
    broker.stop()
    opened.halt_lock.set()
    before = len(page.heard)
    broker.start()
    health = TOPICS["health"]

    def news() -> list[Health]:
        told = [each for each in page.heard[before:] if each.topic == health and not each.retained]
        return [decode(Health, each.payload, "health") for each in told]

    assert until(lambda: news() != [], timeout_s=20)
    assert {(told.lock, *told.problems) for told in news()} == {
        ("offline", "The lock does not answer; look at its power.")
    }


def test_events_that_nobody_stored_survive_a_restart(opened: Door, page: Page) -> None:
    visit(opened, "ana")
    assert until(lambda: len(page.happened()) == 1)
    first = page.events()[0].id
    opened.stop()
    page.heard.clear()
    opened.start()
    assert until(lambda: [event.id for event in page.events()][:1] == [first])


def test_an_event_in_the_audit_alone_reaches_the_page(opened: Door, page: Page) -> None:
    """Power cut between the audit's fsync and the outbox's."""
    visit(opened, "ana")
    assert until(lambda: len(page.happened()) == 1)
    event, detail = page.events()[0], page.detail(page.events()[0])
    opened.stop()
    for file in opened.settings.state.glob("outbox.db*"):
        file.unlink()
    page.heard.clear()
    opened.start()
    assert until(lambda: len(page.happened()) == 1)
    again = page.events()[0]
    assert (again.id, again.at, again.outcome) == (event.id, event.at, event.outcome)
    assert page.detail(again) == detail.model_copy(update={"person": ""}), "the audit has ids, the page has names"


def test_broker_missing_at_start_is_said_and_recovers(door: Door, broker: Mosquitto) -> None:
    broker.stop()
    daemon = door.start()
    visit(door, "ana", 2.5)
    journal = daemon._journal
    assert until(lambda: journal.unsent == 1)
    broker.start()
    page = Page(broker.settings, door.door_key)
    assert until(lambda: ("denied", "no_roster") in page.happened(), timeout_s=20)
    assert until(lambda: page.payloads("availability")[-1:] == [b"online"])
    page.connection.stop()


def test_camera_lost_and_back(opened: Door, page: Page) -> None:
    opened.camera.trouble = "The camera 0 is not there; look at its cable."
    assert until(lambda: page.happened() == [("notice", "camera_lost")])
    assert until(lambda: page.health is not None and page.health.camera == "lost")
    assert page.health is not None
    assert opened.camera.trouble in page.health.problems
    opened.camera.trouble = ""
    assert until(lambda: page.happened() == [("notice", "camera_lost"), ("notice", "camera_back")])
    visit(opened, "ana")
    assert until(lambda: page.happened()[2:] == [("granted", "granted")])


def test_camera_missing_at_start_is_said_and_recovers(door: Door, page: Page) -> None:
    door.camera.trouble = "The camera 0 is not there; look at its cable."
    door.start()
    assert until(lambda: page.happened() == [("notice", "camera_lost")])
    door.camera.trouble = ""
    assert until(lambda: page.happened() == [("notice", "camera_lost"), ("notice", "camera_back")])


def test_one_error_denies_that_frame_and_the_door_lives(opened: Door, page: Page) -> None:
    failing = iter([True])

    def stumble(frame: object, active: object) -> Seen:
        if next(failing, False):
            raise ZeroDivisionError("the way of a frame fell over")
        return look(frame, active)  # type: ignore[arg-type]

    opened.look = stumble  # type: ignore[assignment]
    assert until(lambda: page.happened() == [("denied", "internal_error")])
    visit(opened, "ana")
    assert until(lambda: page.happened()[1:] == [("granted", "granted")])
    assert opened.codes == []


def test_five_errors_in_a_row_end_the_process(opened: Door, page: Page) -> None:
    opened.camera.showing = "boom"
    assert until(lambda: opened.codes == [1])
    assert page.happened() == [("denied", "internal_error")]
    assert opened.relay.times_on == 0


@pytest.mark.parametrize("leaf", ["model", "event/ack"])
def test_messages_that_cannot_be_handled_end_nothing(
    opened: Door, page: Page, monkeypatch: pytest.MonkeyPatch, leaf: str
) -> None:
    fallen: list[object] = []

    def fall(*given: object) -> None:
        fallen.append(given)
        raise ZeroDivisionError("a message fell over")

    assert opened.daemon is not None
    monkeypatch.setattr(opened.daemon._holdings, "offer_bundle", fall)
    monkeypatch.setattr(opened.daemon._journal, "acknowledged", fall)
    for count in range(2 * ERRORS_IN_A_ROW):
        assert page.connection.publish(TOPICS[leaf], b"noise")
        assert until(lambda count=count: len(fallen) > count), "one by one: of documents only the newest waits"
    publish_roster(page, opened.roster(2, "ana"))
    assert knows(page, 2), "what comes after them is taken"
    visit(opened, "ana")
    assert until(lambda: ("granted", "granted") in page.happened())
    assert opened.codes == []
    told = ("notice", "model_refused") if leaf == "model" else ("denied", "internal_error")
    assert page.happened().count(told) == 1
    refused = {decode(Applied, payload, "applied").refused for payload in page.payloads("applied")}
    assert ("internal_error" in refused) == (leaf == "model")


def test_a_relay_on_the_board_opens_with_the_broker_down(door: Door, page: Page, broker: Mosquitto) -> None:
    door.settings = door.settings.model_copy(update={"lock": LockSettings(kind="gpio")})
    publish_roster(page, door.roster(1, "ana"))
    daemon = door.start()
    assert knows(page, 1)
    broker.stop()
    link = daemon._link
    assert until(lambda: not link.connected)
    visit(door, "ana")
    assert until(lambda: door.relay.times_on == 1)
    assert until(lambda: not door.relay.is_on)
