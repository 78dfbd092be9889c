"""What is sent to the doors, and how often: a list once while the broker keeps it and this process publishes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from admin_ui.lease import FileLease
from admin_ui.link import PageLink
from admin_ui.presence import Presence
from admin_ui.publisher import Publisher
from admin_ui.store import Store, find_door, new_door, open_store
from tests.waiting import until

OLD, NEW = "old", "new"
"""Encoders."""


class Wire:
    """A page's link to a broker that takes everything, or nothing."""

    def __init__(self) -> None:
        self.connected = True
        self.connections = 1
        self.takes = True
        self.sent: list[str] = []
        self._doors: dict[str, Presence] = {}

    def presence(self, door: str) -> Presence:
        return self._doors.setdefault(door, Presence())

    def send(self, door: str, leaf: str, payload: bytes) -> bool:
        taken = self.connected and self.takes
        if taken:
            self.sent.append(f"{door} {leaf} {payload.decode()}")
        return taken

    def news(self) -> list[str]:
        """What was sent since it was asked last."""
        news, self.sent = self.sent, []
        return news


class Site:
    """The store that all processes of the page work on, with one door that runs no list yet."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self._folder = folder
        with store.write() as session:
            new_door(session, "front", OLD)
        self.save(1)

    def process(self, wire: Wire) -> Publisher:
        """Another process of the page."""
        lease = FileLease(self._folder / "lease")
        return Publisher(cast("PageLink", wire), self.store, str.encode, lease)

    def save(self, generation: int, encoder: str = OLD, *, anew: bool = False) -> None:
        """A change of the door's list. anew: the door was revoked, and another one has its name."""
        with self.store.write() as session:
            row = find_door(session, "front")
            row.generation, row.encoder_id, row.roster = generation, encoder, f"{generation}".encode()
            row.created += timedelta(days=anew)

    def hear(self, wire: Wire, generation: int, encoder: str = OLD) -> None:
        """The door says what it runs."""
        wire.presence("front").report += 1
        with self.store.write() as session:
            find_door(session, "front").applied = {"generation": generation, "encoder_id": encoder}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    store = open_store("", tmp_path)
    yield Site(store, tmp_path)
    store.close()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def publisher(site: Site, wire: Wire) -> Iterator[Publisher]:
    """It has sent the door's first list, which the door runs."""
    made = site.process(wire)
    made.catch_up()
    assert wire.news() == ["front roster 1"]
    site.hear(wire, 1)
    yield made
    made.stop()


@pytest.mark.parametrize("first", ["request", "watch", "report"])
def test_a_list_is_sent_by_whoever_comes_first_and_by_nobody_after(
    site: Site, wire: Wire, publisher: Publisher, first: str
) -> None:
    site.save(2)
    senders: dict[str, Callable[[], object]] = {
        "request": lambda: publisher.send(["front"]),
        "watch": publisher.catch_up,
        "report": lambda: publisher.bring_up("front"),
    }
    senders.pop(first)()
    assert wire.news() == ["front roster 2"]
    for sender in senders.values():
        sender()
    assert publisher.send(["front"])[0].sent
    assert wire.news() == []


def test_many_at_once_send_a_list_once(site: Site, wire: Wire, publisher: Publisher) -> None:
    site.save(2)
    together = threading.Barrier(6)

    def sends(sender: Callable[[], object]) -> None:
        together.wait(10)
        sender()

    each = (publisher.catch_up, lambda: publisher.bring_up("front"), lambda: publisher.send(["front"]))
    threads = [threading.Thread(target=sends, args=(sender,)) for sender in each * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert wire.news() == ["front roster 2"]


def test_what_one_process_has_left_to_another_is_sent_once_by_it(site: Site, wire: Wire, publisher: Publisher) -> None:
    other_wire = Wire()
    other = site.process(other_wire)
    site.save(2)
    [news] = other.send(["front"])
    assert news.sent
    assert "left to the page's process that publishes" in news.sentence
    other.bring_up("front")
    assert other_wire.news() == []
    publisher.catch_up()
    assert wire.news() == ["front roster 2"]


def test_whoever_takes_over_by_a_request_does_not_send_it_twice(site: Site, wire: Wire, publisher: Publisher) -> None:
    other_wire = Wire()
    other = site.process(other_wire)
    other.catch_up()
    publisher.stop()
    site.save(2)
    # The door has not answered yet when the watch looks, and hears of the list from nobody else.
    assert other.send(["front"])[0].sentence == "front is offline; it will learn of it when it is back."
    other.catch_up()
    other.bring_up("front")
    assert other_wire.news() == ["front roster 2"]
    other.stop()


def test_what_was_saved_by_one_that_died_is_sent_by_whoever_takes_over(
    site: Site, wire: Wire, publisher: Publisher
) -> None:
    other_wire = Wire()
    other = site.process(other_wire)
    other.start()
    site.save(2)
    publisher.stop()
    assert until(lambda: other_wire.sent == ["front roster 2"])
    other.stop()
    # It comes back, and knows nothing of what another has sent meanwhile.
    publisher.catch_up()
    assert wire.news() == ["front roster 2"]


def test_a_broker_that_is_back_is_sent_what_the_door_has_not_taken_once(
    site: Site, wire: Wire, publisher: Publisher
) -> None:
    site.save(2)
    publisher.send(["front"])
    wire.connections += 1  # away so shortly that nobody has looked
    publisher.catch_up()
    publisher.catch_up()
    assert wire.news() == ["front roster 2"] * 2
    site.hear(wire, 2)
    wire.connections += 1
    publisher.catch_up()
    assert wire.news() == []


def test_without_a_broker_another_process_may_publish(site: Site, wire: Wire, publisher: Publisher) -> None:
    wire.connected = False
    site.save(2)
    [news] = publisher.send(["front"])
    assert not news.sent
    assert news.sentence == "The broker cannot be reached; front will learn of it as soon as the link is back."
    other_wire = Wire()
    other = site.process(other_wire)
    other.catch_up()
    assert other_wire.news() == ["front roster 2"]
    other.stop()


def test_what_the_broker_has_not_taken_is_sent_again(site: Site, wire: Wire, publisher: Publisher) -> None:
    site.save(2, NEW)
    wire.takes = False
    assert not publisher.send(["front"], model=True)[0].sent
    wire.takes = True
    publisher.catch_up()
    assert wire.news() == ["front model new", "front roster 2"]


def test_a_door_that_was_made_anew_is_sent_its_own_first_list(site: Site, wire: Wire, publisher: Publisher) -> None:
    site.save(1, anew=True)
    site.hear(wire, 0)
    publisher.catch_up()
    assert wire.news() == ["front roster 1"]


def test_a_door_with_another_encoder_is_sent_the_bundle_before_its_list(
    site: Site, wire: Wire, publisher: Publisher
) -> None:
    site.save(2, NEW)
    publisher.catch_up()
    site.hear(wire, 1)
    publisher.catch_up()
    publisher.bring_up("front")
    assert wire.news() == ["front model new", "front roster 2"]


def test_a_bundle_that_the_door_did_not_take_is_sent_again_by_whoever_asks_for_it(
    site: Site, wire: Wire, publisher: Publisher
) -> None:
    site.save(2, NEW)
    publisher.send(["front"], model=True)
    assert wire.news() == ["front model new", "front roster 2"]
    publisher.send(["front"], model=True)
    assert wire.news() == [], "nothing was heard of it yet"
    site.hear(wire, 1)  # and it could not write it down
    publisher.send(["front"], model=True)
    assert wire.news() == ["front model new", "front roster 2"]


def test_the_bundle_that_the_broker_keeps_is_the_one_in_force(site: Site, wire: Wire, publisher: Publisher) -> None:
    for generation, encoder in enumerate((NEW, OLD, NEW), 2):
        site.save(generation, encoder)
        publisher.send(["front"], model=True)
        assert wire.news() == [f"front model {encoder}", f"front roster {generation}"]


def test_a_report_is_news_after_what_was_sent_and_not_before(site: Site, wire: Wire, publisher: Publisher) -> None:
    assert publisher.report("front") == 0
    site.save(2)
    publisher.send(["front"])
    assert publisher.report("front") == 1
    site.hear(wire, 2)
    publisher.send(["front"])
    assert publisher.report("front") == 1, "nothing was sent"
