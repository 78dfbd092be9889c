"""What the door does, with a real broker, a real lock's rule and a real disk around it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.audit import read
from device.ledger import audit_key
from device.shelf import AUDIT_FOLDER
from firmware_config.errors import BadState
from tests.brokers import Mosquitto
from tests.doors import Door, Page
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


@pytest.fixture
def opened(door: Door, page: Page) -> Door:
    return open_for_ana_and_ben(door, page)


def test_owner_opens(opened: Door, page: Page) -> None:
    visit(opened, "ana")
    assert until(lambda: page.happened() == [("granted", "granted")])
    assert until(lambda: opened.relay.times_on == 1)
    detail = page.detail(page.events()[0])
    assert (detail.person, detail.person_id, detail.scene) == ("Ana", "id-ana", "ana")
    assert detail.distance == pytest.approx(0, abs=1e-3)
    assert 0 < detail.stage_ms["frame_to_unlock"] < 500
    assert [result.accepted for result in page.lock_results()] == [True]


def test_stranger_then_owner(opened: Door, page: Page) -> None:
    visit(opened, "somebody else")
    assert until(lambda: page.happened() == [("denied", "unknown_face")])
    assert opened.relay.times_on == 0
    assert page.detail(page.events()[0]).person == "", "a stranger is not named after whom they resemble most"
    time.sleep(1.2)
    visit(opened, "ben")
    assert until(lambda: page.happened()[1:] == [("granted", "granted")])
    assert until(lambda: opened.relay.times_on == 1)


def test_a_face_in_the_dark_is_refused_with_the_reason_and_a_hint(opened: Door, page: Page) -> None:
    visit(opened, "dark", 2.5)
    assert until(lambda: page.happened() == [("denied", "too_dark")])
    assert page.payloads("hint") == [b"too_dark"]


def test_an_old_frame_never_opens(opened: Door, page: Page) -> None:
    opened.camera.delay_s = 0.6
    visit(opened, "ana", 3.5)
    assert until(lambda: page.happened() == [("denied", "stale_frame")])
    assert opened.relay.times_on == 0


def test_no_roster_refuses_everybody(door: Door, page: Page) -> None:
    door.start_lock()
    door.start()
    visit(door, "ana", 2.5)
    assert until(lambda: ("denied", "no_roster") in page.happened())
    assert door.relay.times_on == 0
    assert until(lambda: page.health is not None and "knows nobody" in " ".join(page.health.problems))


def test_a_removed_person_is_out_with_the_next_roster(opened: Door, page: Page) -> None:
    publish_roster(page, opened.roster(2, "ben"))
    assert knows(page, 2)
    visit(opened, "ana")
    assert until(lambda: page.happened() == [("denied", "unknown_face")])


def test_guessing_raises_the_guard_and_clear_matches_still_open(opened: Door, page: Page) -> None:
    publish_roster(page, opened.roster(2, "ana", guard_misses=2))
    assert knows(page, 2)
    for _ in range(2):
        visit(opened, "ana@1.04")
        time.sleep(1.2)
    assert until(lambda: ("notice", "guard_raised") in page.happened())
    assert page.happened().count(("denied", "unknown_face")) == 2
    visit(opened, "ana@0.9")
    assert until(lambda: ("denied", "under_guard") in page.happened())
    time.sleep(1.2)
    visit(opened, "ana")
    assert until(lambda: ("granted", "granted") in page.happened())
    # A restart does not lift it.
    opened.stop()
    page.heard.clear()
    opened.start_lock()
    opened.start()
    assert until(lambda: page.health is not None and page.health.guard)


def test_remote_unlock_names_who_asked_and_what_for(opened: Door, page: Page) -> None:
    answer = page.ask_unlock(by="olga", why="Ben has no badge")
    assert (answer.ok, answer.reason) == (True, "")
    assert until(lambda: opened.relay.times_on == 1)
    assert until(lambda: page.happened() == [("notice", "remote_unlock")])
    detail = page.detail(page.events()[0])
    assert (detail.by, detail.why) == ("olga", "Ben has no badge")
    [record] = [one for one in read(opened.settings.state / AUDIT_FOLDER, audit_key(opened.door_key)) if "event" in one]
    assert record["detail"] == {"by": "olga"}, "a reason may name anybody, so it is not in the audit"


def test_remote_unlock_only_where_the_policy_allows(opened: Door, page: Page) -> None:
    publish_roster(page, opened.roster(2, "ana", allow_remote_unlock=False))
    assert knows(page, 2)
    answer = page.ask_unlock()
    assert (answer.ok, answer.reason) == (False, "not_allowed")
    assert until(lambda: page.happened() == [("denied", "not_allowed")])
    assert opened.relay.times_on == 0


def test_remote_unlock_with_a_dead_lock_says_so(door: Door, page: Page) -> None:
    publish_roster(page, door.roster(1, "ana"))
    door.start()
    assert knows(page, 1)
    answer = page.ask_unlock()
    assert (answer.ok, answer.reason) == (False, "lock_offline")
    assert "lock does not answer" in answer.sentence


def test_a_member_whom_a_dead_lock_kept_out_does_not_wait_for_the_cool_down(door: Door, page: Page) -> None:
    publish_roster(page, door.roster(1, "ana", cooldown_s=600))
    daemon = door.start()
    assert knows(page, 1)
    visit(door, "ana")
    assert until(lambda: ("denied", "lock_offline") in page.happened())
    door.start_lock()
    assert until(lambda: daemon._link.lock.alive)
    visit(door, "ana", 1.2)
    assert until(lambda: page.happened()[-1] == ("granted", "granted"))
    assert until(lambda: door.relay.times_on == 1)


def test_a_second_daemon_with_the_same_state_refuses_to_start(opened: Door) -> None:
    second = Door.__new__(Door)
    second.__dict__.update(opened.__dict__, codes=[], _running=[])
    second.start()
    assert until(lambda: len(second.codes) == 1)
    assert isinstance(second.codes[0], BadState)
    second.stop()


def test_stop_is_clean_and_quick(opened: Door, page: Page) -> None:
    begun = time.monotonic()
    opened.stop()
    assert time.monotonic() - begun < 10, "less than any wait for a broker; how quickly, tests/systemd measures"
    assert opened.codes == [0]
    assert until(lambda: page.payloads("availability")[-1:] == [b"offline"])


def test_the_daemon_loads_no_torch_gradio_or_sqlalchemy() -> None:
    check = "import device.daemon, sys; assert not {'torch', 'gradio', 'sqlalchemy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
