"""A disk that works again with much owed to it: written in order, and the door goes on meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device import journal as journalling
from device.audit import read
from device.journal import Journal
from device.ledger import audit_key
from device.owed import LAST_S, SETTLE_S, Owed
from device.shelf import AUDIT_FOLDER
from tests.device.desk import KEY, Desk, failing_disk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def slow_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> float:
    """A record takes so many seconds of the desk's clock, as on an SD card."""
    took_s = 0.045
    writing = Journal._write

    def slowly(journal: Journal, owed: Owed) -> Any:
        event = writing(journal, owed)
        desk.now += took_s
        return event

    monkeypatch.setattr(Journal, "_write", slowly)
    return took_s


def test_what_is_owed_is_written_a_few_each_turn_and_what_happens_meanwhile_comes_behind(
    desk: Desk, slow_disk: float
) -> None:
    with failing_disk():
        for number in range(10):
            desk.grant(str(number))
    sizes, turns = [], []
    desk.now += 2.0
    while desk.journal.problem:
        begun = desk.now
        desk.journal.beat()
        turns.append(desk.now - begun)
        sizes.append(len(desk.records()))
        if len(sizes) == 1:
            desk.grant("late")
            assert len(desk.records()) == sizes[0], "its turn is after the others"
            assert desk.details()[-1].person == "late", "the page has it at once"
        assert len(sizes) < 10
    assert max(turns) <= SETTLE_S + slow_disk, "the watchdog and the next frame wait no longer"
    assert sizes == [3, 6, 9, 11], "turn after turn, without the pause of a disk that fails"
    written = [record["detail"]["person_id"] for record in desk.records()]
    assert written == [f"id-{who}" for who in [*range(10), "late"]]


def test_what_found_no_room_is_counted_between_what_came_before_and_after(
    desk: Desk, slow_disk: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalling, "OWED_LIMIT", 5)
    with failing_disk():
        for person in "abcdefg":
            desk.grant(person)
    desk.later()
    assert desk.journal.has_room, "what was written made room"
    desk.grant("late")
    for _ in range(3):
        desk.later(0.1)
    assert desk.journal.problem == ""
    records = read(desk.folder / AUDIT_FOLDER, audit_key(KEY))
    story = [record.get("count") or record["detail"]["person_id"] for record in records if record["kind"] != "started"]
    assert story == ["id-a", "id-b", "id-c", "id-d", "id-e", 2, "id-late"]


def test_a_stop_writes_what_is_owed_for_as_long_as_a_stop_may_take(
    desk: Desk, slow_disk: float, caplog: pytest.LogCaptureFixture
) -> None:
    with failing_disk():
        for number in range(120):
            desk.grant(str(number))
    begun = desk.now
    desk.close()
    assert LAST_S <= desk.now - begun <= LAST_S + slow_disk
    assert len(desk.records()) == int(LAST_S / slow_disk) + 1
    assert f"{121 - len(desk.records())} records could not be written" in caplog.text
