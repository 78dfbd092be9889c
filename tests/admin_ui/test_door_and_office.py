"""Office, broker and door together, all real: what is changed on the page is what the door runs."""

import logging
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from admin_ui.keyring import Keyring
from admin_ui.service import Office
from admin_ui.views import DoorOffline
from device.audit import Audit, verify
from device.ledger import audit_key
from device.pruned import read_pruned
from device.segments import segments
from device.shelf import AUDIT_FOLDER
from firmware_config.broker import Connection
from firmware_config.chain import Head
from firmware_config.events import EventDetail, seal_event
from firmware_config.keys import SecretKey
from firmware_config.messages import Topics, encode
from firmware_config.settings import AdminSettings
from tests.admin_ui.real_door import RealDoor
from tests.brokers import Mosquitto
from tests.waiting import until

pytestmark = pytest.mark.broker

Photo = Callable[..., bytes]
TOPICS = Topics("home", "front")


@pytest.fixture
def office(connected: Office) -> Office:
    return connected


def test_enrolled_person_reaches_the_door_and_the_page_sees_it(office: Office, running: RealDoor, photo: Photo) -> None:
    change = office.enrol("Ada", photo(1), [], "boss")
    assert change.news[0].sent
    view = office.wait_applied("front", change.news[0].generation)
    assert view.applied_generation == change.news[0].generation
    assert view.in_step
    assert not view.refused
    assert until(lambda: (health := office.door("front").health) is not None and health.people == 1)


def test_enrolled_while_the_broker_is_down_the_person_reaches_the_door_when_it_is_back(
    office: Office, running: RealDoor, broker: Mosquitto, photo: Photo
) -> None:
    broker.stop()
    assert until(lambda: not office.link.connected)
    change = office.enrol("Ada", photo(1), [], "boss")
    assert not change.news[0].sent
    broker.start()
    view = office.wait_applied("front", change.news[0].generation, timeout_s=20)
    assert view.applied_generation == change.news[0].generation


def test_a_door_that_was_off_learns_of_it_though_the_broker_forgot(
    office: Office, door: RealDoor, broker: Mosquitto, photo: Photo
) -> None:
    change = office.enrol("Ada", photo(1), [], "boss")
    assert "front is offline; it will learn of it when it is back" in change.news[0].sentence
    broker.stop()
    assert until(lambda: not office.link.connected)
    broker.start()
    assert office.link.wait_connected(10)
    door.start()
    assert office.wait_applied("front", change.news[0].generation, timeout_s=20).in_step


def test_a_known_face_opens_and_the_event_is_kept_once_and_acknowledged(
    office: Office, running: RealDoor, photo: Photo
) -> None:
    change = office.enrol("Ada", photo(1), [], "boss")
    office.wait_applied("front", change.news[0].generation)
    running.embedding = office.examine(photo(1)).embedding
    assert until(lambda: running.relay.times_on == 1)
    assert until(lambda: any(event.outcome == "granted" for event in office.events("front")))
    [granted] = [event for event in office.events("front") if event.outcome == "granted"]
    assert granted.person == "Ada"
    assert granted.distance is not None
    assert granted.distance < 0.01
    assert granted.sentence == "Let in."
    assert running.daemon is not None
    assert until(lambda: (health := office.door("front").health) is not None and health.outbox == 0)
    assert (granted.distance, "granted") in office.threshold("front").recent


def test_a_door_that_is_locked_down_opens_for_nobody_until_it_is_released(office: Office, running: RealDoor) -> None:
    change = office.lock_down("front", "boss", "a fire drill")
    assert office.wait_applied("front", change.news[0].generation).locked_down
    answer = office.unlock("front", "boss")
    assert (answer.ok, answer.reason) == (False, "locked_down")
    assert running.relay.times_on == 0
    change = office.release("front", "boss")
    assert not office.wait_applied("front", change.news[0].generation).locked_down
    assert office.unlock("front", "boss").ok
    assert until(lambda: running.relay.times_on == 1)
    assert [act.what for act in office.acts(4)] == ["unlock", "release", "unlock", "lock_down"]


def test_who_looks_through_the_camera_stands_in_events_and_acts(office: Office, running: RealDoor) -> None:
    jpeg = office.look_through("front", "boss")
    assert jpeg.startswith(b"\xff\xd8")
    assert until(lambda: any(event.reason == "looked_through" for event in office.events("front")))
    [event] = [event for event in office.events("front") if event.reason == "looked_through"]
    assert event.by == "boss"
    assert office.acts(1)[0].what == "look_through"


def test_remote_unlock_opens_and_is_recorded_with_who_asked(office: Office, running: RealDoor) -> None:
    answer = office.unlock("front", "boss", "forgot his face")
    assert answer.ok, answer.sentence
    assert until(lambda: running.relay.times_on == 1)
    assert until(lambda: any(event.reason == "remote_unlock" for event in office.events("front")))
    [event] = [event for event in office.events("front") if event.reason == "remote_unlock"]
    assert (event.by, event.why) == ("boss", "forgot his face")
    assert until(lambda: office.door("front").lock == "UNLOCKED")


def test_two_remote_unlocks_at_once_both_get_an_answer(office: Office, running: RealDoor) -> None:
    assert office.unlock("front", "boss").ok
    assert office.unlock("front", "boss").ok


def test_threshold_moves_at_the_door_and_not_while_it_is_offline(office: Office, running: RealDoor) -> None:
    office.follow_gallery("front", 1e-4, "boss")
    change = office.set_tau("front", 0.4, "boss")
    assert office.wait_applied("front", change.news[0].generation).in_step
    assert "follows" not in office.explain_tau("front", 0.4), "whoever sets it ends that"
    assert office.threshold("front").tau == 0.4
    running.stop()
    assert until(lambda: not office.door("front").online)
    generation = office.door("front").generation
    with pytest.raises(DoorOffline, match=r"front is offline, so its threshold stays at 0\.400"):
        office.set_tau("front", 0.3, "boss")
    with pytest.raises(DoorOffline, match="front is offline"):
        office.unlock("front", "boss")
    assert office.threshold("front").tau == 0.4
    assert office.door("front").generation == generation


def test_new_encoder_and_roster_arrive_together_and_the_way_back_is_signed(
    office: Office, running: RealDoor, photo: Photo, settings: AdminSettings, make_bundle: Callable[..., bytes]
) -> None:
    office.enrol("Ada", photo(1), [], "boss")
    key = Keyring(settings.state).site
    for version, seed, rollback in (("0.2.0", 2, False), ("0.1.0", 1, True)):
        change = office.ship_model(make_bundle(key, version=version, seed=seed), "boss", rollback=rollback)
        view = office.wait_applied("front", change.news[0].generation)
        assert view.in_step, view
        assert view.model_version == version
        assert not view.problems


def test_a_door_with_another_encoder_is_brought_back_in_step(
    office: Office,
    door: RealDoor,
    broker: Mosquitto,
    photo: Photo,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
) -> None:
    key = Keyring(settings.state).site
    office.enrol("Ada", photo(1), [], "boss")
    office.ship_model(make_bundle(key, version="0.2.0", seed=2), "boss")
    # The broker forgets what it kept, and the door comes from the factory with the older encoder.
    broker.stop()
    assert until(lambda: not office.link.connected)
    broker.start()
    assert office.link.wait_connected(10)
    door.start()
    assert until(lambda: office.door("front").in_step, timeout_s=20), office.door("front")
    assert office.door("front").model_version == "0.2.0"


def test_a_refused_document_is_shown_with_its_reason(office: Office, running: RealDoor) -> None:
    assert office.link.send("front", "roster", b"LKS1" + bytes(200))
    assert until(lambda: bool(office.door("front").refused))
    assert any("refused what was sent last" in problem for problem in office.door("front").problems)


@pytest.fixture
def stranger(broker: Mosquitto) -> Iterator[Connection]:
    """Somebody who may publish on every topic and has no key."""
    made = Connection(
        broker.settings, "stranger", subscriptions=[], on_message=lambda _: None, on_connected=lambda: None
    )
    made.start()
    assert made.wait(10)
    yield made
    made.stop()


def made_event(key: SecretKey, number: int = 1) -> bytes:
    event_id = f"{number:032x}"
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    detail = EventDetail(person="Mallory")
    event = seal_event(key, TOPICS, event_id=event_id, at=at, outcome="granted", reason="granted", detail=detail)
    return encode(event)


def test_events_that_the_door_did_not_write_are_not_kept(
    office: Office, stranger: Connection, settings: AdminSettings, caplog: pytest.LogCaptureFixture
) -> None:
    key = Keyring(settings.state).door("front").door
    with caplog.at_level(logging.WARNING):
        stranger.publish(TOPICS["event"], made_event(SecretKey.generate()))
        stranger.publish(TOPICS["event"], b"{}")
        stranger.publish("latchkey/home/nosuch/event", made_event(key))
        stranger.publish("latchkey/home/front/event", made_event(key, 2), retain=True)
        stranger.publish(TOPICS["applied"], b"[]")
        stranger.publish(TOPICS["lock/state"], b"\xff\xfe")
        # The last one is good, so once it is here, the others have been looked at.
        stranger.publish(TOPICS["event"], made_event(key, 3))
        assert until(lambda: len(office.events("front")) > 0)
    ids = {event.id for event in office.events()}
    assert f"{1:032x}" not in ids
    assert ids <= {f"{2:032x}", f"{3:032x}"}
    assert "not sealed for this door" in caplog.text


def test_command_line_beside_a_running_page(
    office: Office, running: RealDoor, make_office: Callable[..., Office], broker: Mosquitto, photo: Photo
) -> None:
    shell = make_office(broker.settings)
    shell.start()
    assert shell.link.wait_connected(10)
    change = shell.enrol("Ada", photo(1), [], "root")
    assert shell.wait_applied("front", change.news[0].generation).in_step
    assert until(lambda: office.door("front").in_step)
    assert [person.name for person in office.people()] == ["Ada"]


def test_a_door_whose_audit_was_put_back_from_a_copy_is_found_out(
    office: Office, running: RealDoor, tmp_path: Path, photo: Photo
) -> None:
    change = office.enrol("Ada", photo(1), [], "boss")
    office.wait_applied("front", change.news[0].generation)
    running.stop()
    shutil.copytree(tmp_path / "door", tmp_path / "copy")
    running.start()
    running.embedding = office.examine(photo(1)).embedding
    assert until(lambda: any(event.outcome == "granted" for event in office.events("front")))
    running.embedding = None
    running.stop()

    shutil.rmtree(tmp_path / "door")
    shutil.copytree(tmp_path / "copy", tmp_path / "door")
    running.start()
    assert until(lambda: any("audit" in problem for problem in office.door("front").problems), 20)
    assert office.audit_heads()["front"].alarm


def test_a_door_with_an_old_audit_prunes_it_once_the_office_has_stored_that(
    office: Office, door: RealDoor, tmp_path: Path
) -> None:
    folder, key = tmp_path / "door" / AUDIT_FOLDER, audit_key(office._keyring.door("front").door)
    with Audit(folder, key, segment_records=3) as audit:
        for _ in range(8):
            audit.append("started", {}, datetime(2020, 1, 1, tzinfo=timezone.utc))
    door.start()
    assert until(lambda: read_pruned(folder, key).count == 6, 20)
    assert until(lambda: [path.name for path in segments(folder)] == ["audit-0000000007.log"])
    assert [event.reason for event in office.events("front")].count("audit_pruning") == 1
    seen = office.audit_heads()["front"]
    assert seen.alarm == ""
    assert verify(folder, key, Head(seen.seq, seen.hash)).count >= seen.seq, "what the office keeps is in what is left"
