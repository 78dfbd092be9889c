"""What happened, asked for: filters, reasons, the download, and whether the records are whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from sqlalchemy import update

from admin_ui.chronicle import EventQuery
from admin_ui.models import ActRow, DoorRow
from admin_ui.page.events import query_of
from admin_ui.service import Office
from firmware_config.errors import BadInput
from tests.admin_ui.happenings import Happenings


@pytest.fixture
def told(office: Office) -> Happenings:
    office.add_door("back", "boss")
    made = Happenings(office)
    day = [datetime(2026, 3, number, 12, tzinfo=timezone.utc) for number in (1, 2, 3, 4)]
    made.tell(person="Ana", distance=0.21, at=day[0])
    made.tell("unknown_face", distance=0.9, runner_up=1.1, at=day[1])
    made.tell("too_dark", door="back", at=day[2])
    made.tell("remote_unlock", by="olga", why="=HYPERLINK(1)", at=day[3])
    return made


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        ({}, ["remote_unlock", "too_dark", "unknown_face", "granted"]),
        ({"door": "back"}, ["too_dark"]),
        ({"person": "AN"}, ["granted"]),
        ({"person": "%"}, []),
        ({"reason": "unknown_face"}, ["unknown_face"]),
        ({"outcome": "denied"}, ["too_dark", "unknown_face"]),
        ({"first": "2026-03-02", "last": "2026-03-03"}, ["too_dark", "unknown_face"]),
        ({"door": "front", "outcome": "granted", "last": "2026-03-01"}, ["granted"]),
    ],
)
def test_events_are_found_by_door_person_reason_and_time(
    office: Office, told: Happenings, asked: dict[str, Any], reasons: list[str]
) -> None:
    found, total = office.find_events(query_of(asked))
    assert [event.reason for event in found] == reasons
    assert total == len(reasons)


@pytest.mark.parametrize(
    "asked", [{"first": "yesterday"}, {"outcome": "maybe"}, {"door": 5}, {"person": "x" * 10_001}, {"reason": "a\x00"}]
)
def test_a_filter_that_is_none_gets_a_sentence(office: Office, asked: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        office.find_events(query_of(asked))


def test_more_events_than_are_shown_are_counted(office: Office, told: Happenings) -> None:
    found, total = office.find_events(EventQuery(limit=2))
    assert (len(found), total) == (2, 4)


def test_a_refusal_is_explained_by_its_distances_and_the_pictures_measures(office: Office, told: Happenings) -> None:
    tau = office.door("front").tau
    number = told.tell(
        "unknown_face", distance=tau + 0.1, runner_up=tau + 0.3, quality={"sharpness": 0.001, "luma": 90.0, "yaw": -0.1}
    )
    why = office.event_why("front", number)
    assert f"the nearest person who is enrolled at this door was {tau + 0.1:.3f}" in why.sentences[0]
    assert why.sentences[1] == f"That is beyond the threshold of now, {tau:.3f}, by 0.100."
    assert "0.200 further" in why.sentences[2]
    assert {one.name: (one.kept, one.limit) for one in why.measures} == {
        "sharpness": (False, "at least 0.015"),
        "luma": (True, ""),
        "yaw": (True, "at most 0.42"),
    }
    assert why.looked is None
    with pytest.raises(BadInput, match="not in the store"):
        office.event_why("front", "f" * 32)


def test_the_kept_photo_of_whom_it_was_shows_where_the_encoder_looks(
    office: Office, photo: Callable[..., bytes]
) -> None:
    office.keep_photos(True, "boss")
    ana = office.enrol("Ana", photo(1), [], "boss").person
    assert ana is not None
    number = Happenings(office).tell(person_id=ana.id, distance=0.2)
    why = office.event_why("front", number)
    assert why.event.person == "Ana"
    assert why.looked is not None
    assert why.where is not None
    assert why.where.shape == why.looked.shape[:2]
    assert why.where.max() > 0, "hiding something moves the encoder"
    office.keep_photos(False, "boss")
    assert office.event_why("front", number).looked is None


def test_a_download_is_csv_in_which_nothing_is_a_formula_and_stands_in_the_record(
    office: Office, told: Happenings
) -> None:
    office.add_account("olga", "viewer", "boss")
    text = office.export_events(query_of({"door": "front"}), "olga").decode("utf-8-sig")
    head, *rows = list(csv.reader(io.StringIO(text)))
    assert head[:4] == ["time (UTC)", "door", "outcome", "reason"]
    assert [row[3] for row in rows] == ["remote_unlock", "unknown_face", "granted"]
    assert rows[0][9] == "'=HYPERLINK(1)"
    assert rows[2][5:7] == ["Ana", "0.21"]
    assert rows[2][0] == "2026-03-01 12:00:00"
    (act,) = office.acts(1)
    assert (act.by, act.what, act.subject) == ("olga", "export_events", "3 rows, door front")


def test_whole_records_say_so_and_a_changed_act_does_not(office: Office, told: Happenings) -> None:
    before = office.verify_audit()
    assert all(one.ok for one in before)
    assert "record of acts is whole" in before[0].sentence
    assert any("audit of front: last seen at record 4, and none of 3 events" in one.sentence for one in before)
    with office.store.write() as session:
        session.execute(update(ActRow).where(ActRow.seq == 1).values(by="somebody else"))
        session.execute(
            update(DoorRow).where(DoorRow.name == "back").values(audit={"seq": 3, "alarm": "back: cut off."})
        )
    after = office.verify_audit()
    assert [one.ok for one in after] == [False, False, True]
    assert "changed after it was written" in after[0].sentence
    assert after[1].sentence == "back: cut off."
