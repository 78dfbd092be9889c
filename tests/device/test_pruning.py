"""Old segments of the audit go once the page has agreed, and at no instant is the chain anything but whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import chain, combinations
from pathlib import Path

import pytest

from device import audit as auditing
from device import journal as journalling
from device import pruning, stores
from device.audit import Audit, read, verify
from device.proof import PRUNING, inspect
from device.pruned import PRUNED_FILE, read_pruned
from device.pruning import ASK_AGAIN_S, LOOK_S
from device.segments import segments
from device.shelf import AUDIT_FOLDER
from firmware_config.chain import Head
from firmware_config.errors import BadInput, DiskFault
from firmware_config.events import acknowledge
from firmware_config.keys import SecretKey
from firmware_config.messages import encode
from tests.device.desk import KEY, TOPICS, Desk
from tests.pruned_audit import HELD, SEALED, pruned_door

KEEP = timedelta(days=30)


class Calendar:
    """The wall clock of a door, moved by the test."""

    def __init__(self) -> None:
        self.today = datetime(2026, 3, 1, tzinfo=timezone.utc)

    def pass_days(self, days: float) -> None:
        self.today += timedelta(days=days)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    made = Calendar()
    monkeypatch.setattr(journalling, "now_utc", lambda: made.today)
    monkeypatch.setattr(stores, "Audit", partial(Audit, segment_records=HELD))
    return made


@pytest.fixture
def desk(tmp_path: Path, calendar: Calendar) -> Iterator[Desk]:
    """Eight records from the first of March, all but the start's acknowledged: 1 to 3, 4 to 6, 7 and 8."""
    made = Desk(tmp_path, KEEP)
    for number in range(7):
        made.grant(f"{number}")
    made.store(made.wire.said)
    yield made
    made.close()


def folder_of(desk: Desk) -> Path:
    return desk.folder / AUDIT_FOLDER


def first_records(desk: Desk) -> list[int]:
    return [int(path.stem[-10:]) for path in segments(folder_of(desk))]


def asked(desk: Desk) -> list[str]:
    """What the door has said that it would like to prune, each once."""
    return list(dict.fromkeys(detail.prune for detail in desk.details() if detail.prune))


def test_old_segments_go_once_the_page_has_stored_the_record_of_it(desk: Desk, calendar: Calendar) -> None:
    desk.later()
    calendar.pass_days(31)
    desk.later(LOOK_S)
    records = {record["seq"]: record for record in read(folder_of(desk), SEALED)}
    assert asked(desk) == [f"6:{records[6]['hash']}"], "whole segments, and the last one stays"
    assert desk.wire.said[-1].reason == PRUNING
    assert first_records(desk) == [1, 4, 7], "nothing goes before the page has said so"

    desk.store(desk.wire.said, asked(desk)[0])
    assert first_records(desk) == [7, 10]
    found = inspect(folder_of(desk), SEALED)
    assert found.pruned == Head(6, records[6]["hash"])
    assert found.end.count == 10
    assert [record["seq"] for record in read(folder_of(desk), SEALED)] == [7, 8, 9, 10]
    assert [record["kind"] for record in read(folder_of(desk), SEALED)][-1] == "audit_pruned"


def test_a_pruned_door_goes_on_over_restarts_and_prunes_again(desk: Desk, calendar: Calendar) -> None:
    for expected in (6, 12, 15):
        calendar.pass_days(31)
        desk.later(LOOK_S)
        desk.store(desk.wire.said, asked(desk)[-1])
        assert read_pruned(folder_of(desk), SEALED).count == expected
        desk.close()
        desk.open()
        desk.grant("ada")
        desk.store(desk.wire.said)
        verify(folder_of(desk), SEALED, desk.journal.head)


def test_young_records_and_the_last_segment_stay(desk: Desk, calendar: Calendar) -> None:
    calendar.pass_days(29)
    desk.later(LOOK_S)
    assert asked(desk) == []
    desk.grant("ada")
    calendar.pass_days(2)
    desk.store(desk.wire.said)
    desk.later(LOOK_S)
    assert [Head.parse(word).count for word in asked(desk)] == [6], "record 9, of two days ago, is in the third"


@pytest.mark.parametrize("waits", ["an event", "no broker", "a full disk"])
def test_nothing_is_asked_while_anything_waits_for_the_page(desk: Desk, calendar: Calendar, waits: str) -> None:
    calendar.pass_days(31)
    if waits == "an event":
        desk.grant("ada")
    if waits == "no broker":
        desk.wire.connected = False
    if waits == "a full disk":
        desk.journal._say(DiskFault("The disk is full."))
        desk.journal._again_at = desk.now + 2 * LOOK_S
    desk.later(LOOK_S)
    assert asked(desk) == []
    assert first_records(desk)[0] == 1


def test_only_the_page_can_agree_and_only_to_what_was_asked(desk: Desk, calendar: Calendar) -> None:
    calendar.pass_days(31)
    desk.later(LOOK_S)
    word = asked(desk)[0]
    ids = [event.id for event in desk.wire.said]
    foreign = acknowledge(SecretKey.generate(), TOPICS, ids, word)
    forged = acknowledge(KEY, TOPICS, ids).model_copy(update={"prune": word})
    bare = forged.model_copy(update={"mac": ""})
    waiting = desk.journal.unsent
    for said in (foreign, forged, bare):
        desk.journal.acknowledged(encode(said))
        assert desk.journal.unsent == waiting, "and none of the events is dropped either"
    for other in ("", "3:" + "ab" * 32, "no head"):
        desk.store([], other)
    assert first_records(desk)[0] == 1
    desk.store(desk.wire.said, word)
    assert first_records(desk)[0] == 7


def test_a_page_that_does_not_agree_is_asked_again_a_day_later(desk: Desk, calendar: Calendar) -> None:
    calendar.pass_days(31)
    desk.later(LOOK_S)
    desk.store(desk.wire.said)
    desk.later(LOOK_S)
    assert len(desk.records()) == 8, "each asking is a record"
    desk.later(ASK_AGAIN_S)
    assert [record["reason"] for record in desk.records()][-2:] == [PRUNING, PRUNING]


def test_an_agreement_from_before_a_start_is_asked_for_anew(desk: Desk, calendar: Calendar) -> None:
    calendar.pass_days(31)
    desk.later(LOOK_S)
    word = asked(desk)[0]
    desk.close()
    desk.open()
    desk.store(desk.wire.said, word)
    assert first_records(desk)[0] == 1
    desk.later(LOOK_S)
    desk.store(desk.wire.said, asked(desk)[-1])
    assert first_records(desk)[0] > 1
    verify(folder_of(desk), SEALED)


def test_a_lost_outbox_asks_for_no_pruned_record(desk: Desk, calendar: Calendar) -> None:
    calendar.pass_days(31)
    desk.later(LOOK_S)
    desk.store(desk.wire.said, asked(desk)[0])
    desk.close()
    for path in desk.folder.glob("outbox.db*"):
        path.unlink()
    desk.wire.said.clear()
    desk.open()
    desk.later()
    assert [detail.audit_seq for detail in desk.details()] == [7, 8, 9]


def test_an_old_segment_that_was_tampered_with_is_not_pruned(
    desk: Desk, calendar: Calendar, caplog: pytest.LogCaptureFixture
) -> None:
    calendar.pass_days(31)
    oldest = segments(folder_of(desk))[0]
    oldest.write_bytes(oldest.read_bytes()[:-3] + b"x}\n")
    desk.later(LOOK_S)
    assert asked(desk) == []
    assert "Nothing is pruned" in caplog.text


# --- a power cut at any instant ---


def whole(folder: Path, end: Head, left: int) -> None:
    """It starts, from there on goes on, and verifies."""
    assert verify(folder, SEALED, end) == end
    with Audit(folder, SEALED, HELD) as again:
        assert again.head == end
        again.append("granted", {})
    assert len(segments(folder)) == left
    assert verify(folder, SEALED, end).count == end.count + 1


def subsets(paths: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    return chain.from_iterable(combinations(paths, size) for size in range(len(paths) + 1))


def test_whichever_removals_the_disk_has_kept_the_next_start_does_the_rest(tmp_path: Path) -> None:
    audit, through = pruned_door(tmp_path / "audit")
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "audit", before)
    end = audit.head
    assert audit.prune(through) == 3
    audit.close()
    for number, gone in enumerate(subsets(segments(before)[:3])):
        state = tmp_path / f"state-{number}"
        shutil.copytree(before, state)
        shutil.copy(tmp_path / "audit" / PRUNED_FILE, state)
        for path in gone:
            (state / path.name).unlink()
        whole(state, end, left=1)
    whole(before, end, left=4)


@pytest.mark.parametrize("step", ["write_pruned", "remove"])
def test_nothing_is_removed_before_it_is_written_that_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    audit, through = pruned_door(tmp_path / "audit")
    monkeypatch.setattr(auditing, step, cut)
    with pytest.raises(KeyboardInterrupt):
        audit.prune(through)
    monkeypatch.undo()
    assert len(segments(tmp_path / "audit")) == 4
    whole(tmp_path / "audit", audit.head, left=4 if step == "write_pruned" else 1)


def test_a_disk_that_fails_while_it_prunes_leaves_the_door_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("no space")

    for step in ("write_pruned", "remove"):
        audit, through = pruned_door(tmp_path / step)
        monkeypatch.setattr(auditing, step, fails)
        with pytest.raises(DiskFault, match="no space"):
            audit.prune(through)
        monkeypatch.undo()
        audit.append("granted", {})
        verify(tmp_path / step, SEALED, audit.head)


@pytest.mark.parametrize("through", [Head(), Head(2, "ab" * 32), Head(3, "ab" * 32), Head(11, "ab" * 32)])
def test_what_is_no_end_of_an_old_segment_is_not_pruned(tmp_path: Path, through: Head) -> None:
    audit, _ = pruned_door(tmp_path / "audit")
    with pytest.raises(BadInput):
        audit.prune(through)
    assert len(segments(tmp_path / "audit")) == 4


def test_a_look_at_the_disk_opens_each_old_segment_at_most_once(
    desk: Desk, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []
    real = pruning.last_line
    monkeypatch.setattr(pruning, "last_line", lambda path: (looks.append(path), real(path))[1])
    for _ in range(50):
        desk.later(LOOK_S / 100)
    assert len(looks) == 1, "young: the first one's end is enough, and that once in ten minutes"
