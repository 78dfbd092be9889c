"""The store: its tables, its transactions, and what it says when it is broken."""

import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select

import admin_ui.journal
import admin_ui.store
from admin_ui.acts import read_acts, record_act
from admin_ui.journal import keep_events, newest_events, prune_events
from admin_ui.models import ActRow, Base
from admin_ui.store import PRAGMAS, Store, StoreDown, open_store
from firmware_config.errors import BadState
from firmware_config.events import Event, EventDetail

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For what is about its file."""


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Iterator[Store]:
    opened = open_store(store_url, tmp_path)
    yield opened
    opened.close()


def event(number: int) -> tuple[Event, EventDetail]:
    at = datetime(2026, 1, 1, 12, number, tzinfo=timezone.utc)
    return (
        Event(id=f"e{number:031x}", at=at, outcome="granted", reason="granted"),
        EventDetail(person_id="p", person="Ada", distance=0.25, stage_ms={"embed": 2.0}),
    )


def test_migrations_make_exactly_the_tables_that_the_code_uses(store: Store, tmp_path: Path, store_url: str) -> None:
    engine = create_engine(store_url or f"sqlite:///{tmp_path / 'store.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_opening_twice_keeps_what_is_there(store: Store, tmp_path: Path, store_url: str) -> None:
    with store.write() as session:
        record_act(session, "boss", "test", "x")
    again = open_store(store_url, tmp_path)
    with again.read() as session:
        assert [act.subject for act in session.scalars(select(ActRow))] == ["x"]
    again.close()


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    def interrupted() -> None:
        with store.write() as session:
            record_act(session, "boss", "test", "half")
            session.flush()
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        interrupted()
    with store.read() as session:
        assert session.scalars(select(ActRow)).all() == []


def test_a_corrupt_store_raises_and_never_reads_as_empty(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is not a database" * 1000)
    with pytest.raises(BadState, match=r"cannot be opened.*Restore it from a backup"):
        open_store("", tmp_path)


def test_a_wrong_url_does_not_show_its_password(tmp_path: Path) -> None:
    with pytest.raises(BadState) as caught:
        open_store("nosuch://me:hunter2@host/db", tmp_path)
    assert "hunter2" not in str(caught.value)


@SQLITE
def test_store_is_readable_by_its_owner_only(store: Store, tmp_path: Path) -> None:
    assert [path.stat().st_mode & 0o077 for path in tmp_path.glob("store.db*")].count(0) >= 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("store.db*"))


def test_two_writers_wait_for_each_other(tmp_path: Path, store_url: str) -> None:
    stores = [open_store(store_url, tmp_path) for _ in range(2)]

    def write(store: Store) -> None:
        for number in range(10):
            with store.write() as session:
                count = len(session.scalars(select(ActRow)).all())
                record_act(session, "boss", "test", f"{number} after {count}")

    threads = [threading.Thread(target=write, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with stores[0].read() as session:
        seen = sorted(int(act.subject.split()[-1]) for act in session.scalars(select(ActRow)))
    assert seen == list(range(20))
    for store in stores:
        store.close()


def test_who_waited_too_long_for_another_writer_is_told_so(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_ui.store, "PRAGMAS", (*PRAGMAS, "busy_timeout=20"))
    slow = open_store(store_url, tmp_path)
    hasty = open_store(f"{store_url}&options=-c%20lock_timeout%3D20" if store_url else "", tmp_path)
    told = r"^Somebody else is writing; try again in a moment\."
    with slow.write() as writing:
        record_act(writing, "boss", "test", "long")
        with pytest.raises(StoreDown, match=told), hasty.write() as waiting:
            record_act(waiting, "boss", "test", "short")
    with slow.read() as session:
        assert [act.subject for act in session.scalars(select(ActRow))] == ["long"]
    for store in (slow, hasty):
        store.close()


def test_an_event_that_comes_twice_is_kept_once(store: Store) -> None:
    assert keep_events(store, {"front": [event(1), event(2), event(1)]}) == 2
    assert keep_events(store, {"front": [event(2), event(3)]}) == 1
    assert [one.id[-1] for one in newest_events(store, "", 10)] == ["3", "2", "1"]


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_old_events_are_deleted_and_the_record_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_once: int
) -> None:
    monkeypatch.setattr(admin_ui.journal, "PRUNED_AT_ONCE", at_once)
    keep_events(store, {"front": [event(number) for number in range(8)], "back": [event(2), event(9)]})
    assert prune_events(store, event(6)[0].at, "boss") == 7
    assert {one.id[-1] for one in newest_events(store, "", 100)} == {"6", "7", "9"}
    assert prune_events(store, event(6)[0].at, "boss") == 0
    with store.read() as session:
        acts = list(read_acts(session))
    assert [act["subject"] for act in acts] == ["7 before 2026-01-01 12:06 UTC", "0 before 2026-01-01 12:06 UTC"]
    # Begins with a letter: an act's first link is 64 zeros, and after it comes a hash that may begin with 3.
    assert f"e{3:031x}".encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))


def test_events_of_two_doors_do_not_hide_each_other(store: Store) -> None:
    keep_events(store, {"front": [event(1)]})
    keep_events(store, {"back": [event(1)]})
    assert len(newest_events(store, "", 10)) == 2
    only = newest_events(store, "back", 10)
    assert [(one.door, one.person, one.distance, one.stage_ms) for one in only] == [
        ("back", "Ada", 0.25, {"embed": 2.0})
    ]
    assert only[0].at.tzinfo is not None


def test_a_store_of_the_first_version_gets_its_chain_and_loses_the_names_in_its_acts(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    config = Config()
    config.set_main_option("script_location", str(Path(admin_ui.store.__file__).with_name("migrations")))
    person = "0123456789abcdef" * 2
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        acts = "INSERT INTO acts (at, by, what, subject) VALUES ('2026-01-01 12:00:00.000000', 'boss', ?, ?)"
        for what, subject in (("add_door", "front"), ("enrol", f"Ada Lovelace ({person}) at front")):
            connection.exec_driver_sql(acts, (what, subject))
    engine.dispose()

    store = open_store("", tmp_path)
    with store.write() as session:
        record_act(session, "boss", "test", "x")
    with store.read() as session:
        assert [act["subject"] for act in read_acts(session)] == ["front", f"{person} at front", "x"]
    store.close()
