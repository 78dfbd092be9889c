"""What happened is kept whole: on a disk that works, on one that fails for a while, and over a restart of either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device import journal as journalling
from device import stores
from device.audit import read, verify
from device.journal import BATCH, RESEND_S
from device.ledger import audit_key
from device.outbox import Outbox, outbox_key
from device.shelf import AUDIT_FOLDER
from firmware_config.errors import BadState
from firmware_config.keys import SecretKey
from tests.device.desk import KEY, Desk, failing_disk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_every_event_carries_its_record_and_the_audit_carries_no_name(desk: Desk) -> None:
    desk.grant("Zoë")
    record = desk.records()[0]
    detail = desk.details()[0]
    assert (detail.audit_seq, detail.audit_head) == (record["seq"], record["hash"]) == (2, desk.journal.head.hash)
    assert detail.person == "Zoë"
    assert record["detail"] == {"person_id": "id-Zoë", "distance": 0.5}
    assert record["event"] == desk.wire.said[0].id


def test_starts_and_stops_and_acts_are_records_between(desk: Desk) -> None:
    desk.journal.note("roster_taken", {"generation": 3, "left": 1})
    desk.close()
    desk.open()
    kinds = [record["kind"] for record in read(desk.folder / AUDIT_FOLDER, audit_key(KEY))]
    assert kinds == ["started", "roster_taken", "stopped", "started"]
    assert desk.wire.said == [], "an act is no event"


def test_a_disk_that_fails_at_the_start_is_tried_again_once_a_second(tmp_path: Path) -> None:
    with failing_disk():
        desk = Desk(tmp_path)
        tries = 0
        opening = desk.journal.stores.open

        def count() -> Any:
            nonlocal tries
            tries += 1
            return opening()

        desk.journal.stores.open = count  # type: ignore[method-assign]
        for _ in range(15):  # a second of frames: health asks with each
            assert desk.journal.unsent == 0
            desk.journal.settle()
        assert tries == 0
        desk.now += 1.0
        desk.journal.settle()
        assert tries == 1
    desk.later()
    assert [record["kind"] for record in desk.records("started")] == ["started"]
    desk.close()


def test_a_disk_that_fails_keeps_nothing_from_the_page_and_gets_everything_later(desk: Desk) -> None:
    with failing_disk():
        for person in ("ana", "ben", "cem"):
            desk.grant(person)
            desk.later()
        assert [detail.person for detail in desk.details()] == ["ana", "ben", "cem"]
        assert "3 records wait in memory; at 1000 nobody is let in any more" in desk.journal.problem
        assert desk.journal.has_room
        assert desk.journal.unsent == 3
        desk.store(desk.wire.said)
    assert desk.records() == []
    desk.later()
    assert desk.journal.problem == ""
    assert [record["detail"]["person_id"] for record in desk.records()] == ["id-ana", "id-ben", "id-cem"]
    assert {event.id for event in desk.wire.said} == {record["event"] for record in desk.records()}
    desk.close()
    desk.open()
    assert len(desk.records()) == 3, "nothing twice"


def test_the_time_of_a_late_record_is_when_it_happened(desk: Desk) -> None:
    with failing_disk():
        desk.grant("ana")
    said = desk.wire.said[0].at
    desk.later()
    assert desk.records()[0]["at"] == said.isoformat(timespec="milliseconds")


def test_at_the_bound_there_is_no_room_and_what_went_by_is_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journalling, "OWED_LIMIT", 3)
    with failing_disk():
        for person in "abcde":
            desk.grant(person)
        assert not desk.journal.has_room
        assert "nobody is let in until" in desk.journal.problem
    desk.later()
    assert desk.journal.has_room
    assert [record["detail"]["person_id"] for record in desk.records()] == ["id-a", "id-b", "id-c"]
    assert [record["count"] for record in desk.records("records_missed")] == [2]


def test_a_start_on_a_disk_that_fails_waits_for_it(desk: Desk) -> None:
    desk.grant("ana")
    desk.close()
    with failing_disk():
        desk.open()
        desk.grant("ben")
        assert desk.journal.problem
        assert desk.journal.has_room
    desk.later()
    assert desk.journal.problem == ""
    assert [record["detail"]["person_id"] for record in desk.records()] == ["id-ana", "id-ben"]
    assert desk.journal.unsent == 2


def test_damage_is_no_failing_disk_and_is_not_waited_for(desk: Desk) -> None:
    desk.grant("ana")
    desk.close()
    segment = next((desk.folder / AUDIT_FOLDER).glob("audit-*.log"))
    segment.write_bytes(segment.read_bytes().replace(b'"seq":2', b'"seq":3'))
    with pytest.raises(BadState, match="changed"):
        desk.open()
    segment.write_bytes(segment.read_bytes().replace(b'"seq":3', b'"seq":2', 1))
    (desk.folder / AUDIT_FOLDER / "head").unlink()
    with pytest.raises(BadState, match="head"):
        desk.open()


def test_an_audit_that_was_wiped_beside_its_outbox_is_told(desk: Desk) -> None:
    desk.grant("ana")
    desk.close()
    for path in (desk.folder / AUDIT_FOLDER).iterdir():
        path.unlink()
    with pytest.raises(BadState, match="cut off"):
        desk.open()


def test_days_offline_go_out_in_order_one_batch_after_the_other(desk: Desk) -> None:
    desk.wire.connected = False
    for number in range(2 * BATCH + 20):
        desk.grant(str(number))
    assert desk.wire.said == []
    desk.wire.connected = True
    desk.later(0.1)
    sizes = [len(desk.wire.said)]
    while desk.wire.said:
        batch, desk.wire.said = desk.wire.said, []
        desk.store(batch)
        desk.later(0.1)
        sizes.append(len(desk.wire.said))
    assert sizes == [BATCH, BATCH, 20, 0], "what is stored calls for the next, without waiting for the next round"
    assert desk.journal.unsent == 0


def test_what_nobody_stored_is_sent_again_after_a_while_only(desk: Desk) -> None:
    desk.later()
    desk.grant("ana")
    desk.later(RESEND_S - 1)
    assert len(desk.wire.said) == 1
    desk.later(2)
    assert len(desk.wire.said) == 2
    assert desk.wire.said[0] == desk.wire.said[1]


def test_events_come_back_from_the_audit_when_the_outbox_is_lost(desk: Desk) -> None:
    desk.grant("ana")
    first = desk.wire.said[0]
    desk.close()
    for path in desk.folder.glob("outbox.db*"):
        path.unlink()
    desk.wire.said.clear()
    desk.open()
    desk.later()
    again = desk.wire.said[0]
    assert (again.id, again.at, again.outcome, again.reason) == (first.id, first.at, first.outcome, first.reason)
    detail = desk.details()[0]
    assert (detail.person_id, detail.person, detail.audit_seq) == ("id-ana", "", 2), "the page knows the name"


def test_after_a_lost_outbox_the_door_is_ready_at_once_and_catches_up_between_frames(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "AT_START", 5)
    monkeypatch.setattr(stores, "BETWEEN_FRAMES", 4)
    for number in range(12):
        desk.grant(str(number))
    told = [event.id for event in desk.wire.said]
    desk.close()
    for path in desk.folder.glob("outbox.db*"):
        path.unlink()
    desk.wire.said.clear()
    desk.open()
    outbox = desk.journal.stores.outbox
    assert outbox is not None
    assert len(outbox) == 4, "records 1 to 5, and the first is the start"
    desk.grant("last")
    assert desk.journal.unsent >= 13, "what was not looked at counts"
    while desk.journal.stores.behind:
        desk.later()
    desk.wire.said.clear()
    desk.later(RESEND_S)
    assert [event.id for event in desk.wire.said][:12] == told
    assert [detail.person_id for detail in desk.details()] == [f"id-{n}" for n in [*range(12), "last"]]
    assert desk.journal.unsent == 13


def test_the_page_can_read_the_disk_of_a_door_that_died(desk: Desk) -> None:
    desk.grant("ana")
    desk.close()
    same_key = SecretKey(bytes(range(32)))
    assert verify(desk.folder / AUDIT_FOLDER, audit_key(same_key)).count == 3
    with Outbox(desk.folder / "outbox.db", outbox_key(same_key)) as outbox:
        assert len(outbox.pending()) == 1
