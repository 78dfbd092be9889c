"""Two page processes on one store: events arrive once, one of them publishes, and the other takes over when it dies."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from admin_ui.models import EventRow
from admin_ui.service import Office
from admin_ui.store import open_store
from firmware_config.settings import AdminSettings
from tests.admin_ui.real_door import RealDoor
from tests.brokers import Mosquitto
from tests.waiting import until

Photo = Callable[..., bytes]


def hold_until_killed(url: str, state: Path, told: multiprocessing.connection.Connection) -> None:
    """Another process that publishes."""
    store = open_store(url, state)
    told.send(store.lease(state).hold())
    signal.pause()


def test_the_lease_is_one_processs_and_ends_with_it_however_it_ends(settings: AdminSettings) -> None:
    settings.state.mkdir(parents=True, exist_ok=True)
    here, there = multiprocessing.Pipe()
    other = multiprocessing.get_context("spawn").Process(
        target=hold_until_killed, args=(settings.store, settings.state, there)
    )
    other.start()
    store = open_store(settings.store, settings.state)
    try:
        assert here.poll(60)
        assert here.recv() is True
        lease = store.lease(settings.state)
        assert not lease.hold()
        assert other.pid is not None
        os.kill(other.pid, signal.SIGKILL)
        assert until(lease.hold)
        assert lease.hold()  # and stays so
        second = store.lease(settings.state)
        assert not second.hold()
        lease.release()
        assert second.hold()
        second.release()
    finally:
        store.close()
        other.kill()
        other.join(10)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def pages(make_office: Callable[..., Office], broker: Mosquitto) -> tuple[Office, Office]:
    """Two, each with connections of its own to store and broker; the first publishes."""
    first = make_office(broker.settings)
    first.add_door("front", "test")
    first.start()
    assert first.link.wait_connected(10)
    assert until(first._desk.publisher._publishes)
    second = make_office(broker.settings)
    second.start()
    assert second.link.wait_connected(10)
    assert not second._desk.publisher._publishes()
    return first, second


@pytest.fixture
def door(pages: tuple[Office, Office], tmp_path: Path) -> Iterator[RealDoor]:
    state = pages[0].settings.state
    made = RealDoor(state / "pairings" / "front", tmp_path / "door", state / "default.latchkey")
    made.start()
    assert until(lambda: all(page.door("front").online and page.door("front").in_step for page in pages))
    daemon = made.daemon
    assert daemon is not None
    assert until(lambda: daemon._link.lock.alive)
    yield made
    made.stop()


def watched(page: Office, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a page publishes from now on, by leaf."""
    sent: list[str] = []
    really = page.link.send
    monkeypatch.setattr(page.link, "send", lambda d, leaf, data: (sent.append(leaf), really(d, leaf, data))[1])
    return sent


@pytest.mark.broker
def test_one_publishes_what_either_saves_and_events_arrive_once(
    pages: tuple[Office, Office], door: RealDoor, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pages
    by_first, by_second = watched(first, monkeypatch), watched(second, monkeypatch)
    change = second.enrol("Ada", photo(1), [], "boss")
    assert "left to the page's process that publishes" in change.news[0].sentence
    assert second.wait_applied("front", change.news[0].generation).in_step
    change = first.enrol("Bo", photo(2), [], "boss")
    assert second.wait_applied("front", change.news[0].generation).in_step
    assert (by_first.count("roster"), by_second) == (2, [])

    assert second.unlock("front", "boss", "a courier").ok
    assert until(lambda: any(event.reason == "remote_unlock" for event in first.events("front")))
    assert until(lambda: (health := first.door("front").health) is not None and health.outbox == 0)
    with first.store.read() as session:
        query = select(func.count()).select_from(EventRow).where(EventRow.reason == "remote_unlock")
        assert session.scalar(query) == 1


@pytest.mark.broker
def test_the_other_takes_over_and_sends_what_was_left_behind(
    pages: tuple[Office, Office], door: RealDoor, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pages
    # As if it died between the store and the broker: saved, and nobody was told.
    monkeypatch.setattr(first.link, "send", lambda *_: False)
    change = first.enrol("Ada", photo(1), [], "boss")
    first._desk.stop()
    assert second.wait_applied("front", change.news[0].generation, timeout_s=20).in_step
    assert second._desk.publisher._publishes()


@pytest.mark.broker
def test_one_that_fails_at_publishing_leaves_it_to_the_other(
    pages: tuple[Office, Office], door: RealDoor, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pages

    def fails(*_: object) -> bool:
        raise RuntimeError("as a defect of ours would")

    monkeypatch.setattr(first.link, "send", fails)
    change = second.enrol("Ada", photo(1), [], "boss")
    assert second.wait_applied("front", change.news[0].generation, timeout_s=20).in_step


@pytest.mark.broker
def test_a_door_that_another_made_anew_under_an_old_name_gets_its_list(
    pages: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are list 1 of a door of that name."""
    first, second = pages
    for _ in range(2):
        by_first = watched(first, monkeypatch)
        second.add_door("cellar", "boss")
        assert until(lambda sent=by_first: "roster" in sent)  # type: ignore[misc]
        second.revoke_door("cellar", "boss")
