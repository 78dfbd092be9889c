"""An erased person is gone from the store, from what a backup brings back, and from events that come late."""

import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sqlalchemy import select

from admin_ui.journal import accept_head, keep_events, newest_events, see_head
from admin_ui.models import ActRow
from admin_ui.service import Office
from firmware_config.events import Event, EventDetail
from firmware_config.roster import Roster
from tests.admin_ui.conftest import MakeOffice

Photo = Callable[..., bytes]
AT = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def granted(number: int, person_id: str, seq: int = 0, head: str = "") -> tuple[Event, EventDetail]:
    event = Event(id=f"{number:032x}", at=AT, outcome="granted", reason="granted")
    return event, EventDetail(person_id=person_id, distance=0.4, audit_seq=seq, audit_head=head)


def test_events_lose_the_name_and_late_ones_never_get_it(
    office: Office, photo: Photo, stored_bytes: Callable[[], bytes]
) -> None:
    person = office.enrol("Ada Unmistakable", photo(1), [], "boss").person
    assert person is not None
    keep_events(office.store, {"front": [granted(1, person.id), granted(2, person.id)]})
    assert [event.person for event in office.events("front")] == ["Ada Unmistakable"] * 2
    change = office.remove(person.id, "boss")
    keep_events(office.store, {"front": [granted(3, person.id)]})
    assert [event.person for event in office.events("front")] == ["(erased)"] * 3
    assert "1 photo(s), 1 template(s) and the name in 2 event(s)" in change.sentence
    office.store.scrub()
    assert b"Unmistakable" not in stored_bytes()


def test_the_receipt_stays_in_the_record_and_names_nobody(office: Office, photo: Photo) -> None:
    person = office.enrol("Ada Unmistakable", photo(1), [], "boss").person
    assert person is not None
    change = office.remove(person.id, "boss")
    with office.store.read() as session:
        acts = list(session.scalars(select(ActRow).order_by(ActRow.seq)))
        assert office.witness.verify(session).count == len(acts)
    assert acts[-1].what == "erase"
    assert acts[-1].subject in change.sentence
    assert person.id not in acts[-1].subject
    assert not [act for act in acts if "Unmistakable" in act.subject]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)  # a file to copy
def test_an_old_store_copied_back_does_not_bring_them_back(
    make_office: MakeOffice, tmp_path: Path, photo: Photo, roster_of: Callable[[str], Roster]
) -> None:
    office = make_office()
    office.add_door("front", "test")
    person = office.enrol("Ada", photo(1), [], "boss").person
    other = office.enrol("Bob", photo(2), [], "boss").person
    assert person is not None
    assert other is not None
    state = office.settings.state
    office.store.scrub()
    backup = tmp_path / "backup.db"
    shutil.copy(state / "store.db", backup)
    office.remove(person.id, "boss")
    office.stop()

    for leftover in state.glob("store.db*"):
        leftover.unlink()
    shutil.copy(backup, state / "store.db")
    again = make_office()
    assert [one.name for one in again.people()] == ["Bob"]
    assert [one.name for one in roster_of("front").people] == ["Bob"]
    with again.store.read() as session:
        assert session.scalar(select(ActRow.what).order_by(ActRow.seq.desc()).limit(1)) == "erase_again"


def test_a_door_whose_audit_got_shorter_is_reported(office: Office) -> None:
    keep_events(office.store, {"front": [granted(1, "", 7, "aa"), granted(2, "", 9, "bb")]})
    see_head(office.store, "front", 12, "cc")
    assert office.door("front").problems[0].count("audit") == 0
    assert not see_head(office.store, "front", 11, "dd"), "late, perhaps"
    assert not [problem for problem in office.door("front").problems if "audit" in problem]
    assert not see_head(office.store, "front", 11, "dd", again=True)
    problem = office.door("front").problems[0]
    assert "front: its audit ends at record 11, but record 12 was seen" in problem
    assert "--head 12:cc" in problem


@pytest.mark.parametrize("seq", [7, 9])
def test_a_record_that_was_written_anew_is_reported(office: Office, seq: int) -> None:
    keep_events(office.store, {"front": [granted(1, "", 7, "aa"), granted(2, "", 9, "bb")]})
    keep_events(office.store, {"front": [granted(3, "", seq, "other")]})
    assert f"record {seq} of its audit is not the one" in office.door("front").problems[0]
    assert len(newest_events(office.store, "front", 10)) == 3, "the event is kept all the same"


def test_late_events_and_repeated_heads_raise_no_alarm(office: Office) -> None:
    keep_events(office.store, {"front": [granted(2, "", 9, "bb")]})
    keep_events(office.store, {"front": [granted(1, "", 7, "aa")]})
    see_head(office.store, "front", 9, "bb")
    see_head(office.store, "front", 0, "")
    assert not [problem for problem in office.door("front").problems if "audit" in problem]


def test_an_administrator_may_accept_a_new_audit(office: Office) -> None:
    see_head(office.store, "front", 12, "cc")
    see_head(office.store, "front", 3, "dd", again=True)
    assert [problem for problem in office.door("front").problems if "audit" in problem]
    accept_head(office.store, "front", "boss")
    see_head(office.store, "front", 4, "ee")
    assert not [problem for problem in office.door("front").problems if "audit" in problem]
