"""The record of decisions: whole or cut at its last line, sealed, and never silently changed."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.audit import HEAD_FILE, Audit, read, verify
from device.segments import segments
from firmware_config.chain import ORIGIN, Head, link_hash
from firmware_config.errors import BadInput, BadState
from firmware_config.keys import SecretKey

KEY = SecretKey(bytes(range(32)))
HELD = 3
"""Records in a segment here."""


def write(folder: Path, numbers: Sequence[int]) -> None:
    with Audit(folder, KEY, HELD) as audit:
        for number in numbers:
            audit.append("event", {"reason": "unknown_face", "number": number, "name": "Zoë"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight records in three segments: 1 to 3, 4 to 6, 7 and 8."""
    made = tmp_path / "audit"
    write(made, range(1, 9))
    return made


def lines_of(folder: Path) -> list[bytes]:
    return b"".join(path.read_bytes() for path in segments(folder)).splitlines(keepends=True)


def test_records_are_chained_across_segments_and_go_on_after_a_restart(folder: Path) -> None:
    with Audit(folder, KEY, HELD) as audit:
        assert audit.head.count == 8
        ninth = audit.append("granted", {"person_id": "id-ada"})
        tenth = audit.append("granted", {"person_id": "id-ben"})
    assert (ninth["seq"], tenth["seq"]) == (9, 10)
    assert [path.name for path in segments(folder)] == [f"audit-{first:010}.log" for first in (1, 4, 7, 10)]
    outside = [json.loads(line) for line in lines_of(folder)]
    assert [line["prev"] for line in outside] == [ORIGIN, *(line["hash"] for line in outside[:-1])]
    records = list(read(folder, KEY))
    assert [record["number"] for record in records[:8]] == list(range(1, 9))
    assert records[-2:] == [ninth, tenth]
    assert verify(folder, KEY) == verify(folder) == Head(10, tenth["hash"])
    for after in range(12):
        assert [record["seq"] for record in read(folder, KEY, after)] == list(range(after + 1, 11))


def test_the_chain_can_be_checked_by_anybody_and_read_by_nobody_else(folder: Path) -> None:
    for line in lines_of(folder):
        outside = json.loads(line)
        assert outside.keys() == {"seq", "sealed", "prev", "hash"}
        assert outside["hash"] == link_hash(outside["prev"], {"seq": outside["seq"], "sealed": outside["sealed"]})
        assert "Zoë".encode() not in line
        assert b"unknown_face" not in line
    assert len({len(line) for line in lines_of(folder)}) == 1, "the length does not tell what happened"
    with pytest.raises(BadState, match="key"):
        verify(folder, SecretKey.generate())
    with pytest.raises(BadState, match="key"):
        list(read(folder, SecretKey.generate()))


def test_the_files_are_private(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("count", [7, 8, 9])
def test_a_power_cut_at_any_byte_of_the_last_line_loses_that_line_alone(tmp_path: Path, count: int) -> None:
    """Nine: the torn line is the last of a full segment; seven: the first of a new one."""
    folder = tmp_path / "audit"
    write(folder, range(1, count))
    before = (folder / HEAD_FILE).read_bytes()
    write(folder, [count])
    (folder / HEAD_FILE).write_bytes(before)  # it follows once the record is on disk
    last = segments(folder)[-1]
    whole = last.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for end in [start, start + 1, *range(start + 40, len(whole), 97), len(whole) - 1]:
        last.write_bytes(whole[:end])
        (folder / HEAD_FILE).write_bytes(before)
        with Audit(folder, KEY, HELD) as audit:
            assert audit.head.count == count - 1, end
            audit.append("granted", {})
        assert verify(folder, KEY).count == count
        torn = last.with_suffix(".torn")
        assert (torn.read_bytes() if end > start else b"") == whole[start:end]
        torn.unlink(missing_ok=True)


@pytest.mark.parametrize("count", [7, 8, 9])
def test_a_record_with_its_end_on_the_disk_and_a_hole_before_it_was_torn_too(tmp_path: Path, count: int) -> None:
    folder = tmp_path / "audit"
    write(folder, range(1, count))
    before = (folder / HEAD_FILE).read_bytes()
    write(folder, [count])
    after = (folder / HEAD_FILE).read_bytes()
    last = segments(folder)[-1]
    whole = last.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for hole in (range(start, start + 100), range(start + 50, len(whole) - 1), range(start, len(whole) - 10)):
        torn = whole[: hole.start] + bytes(len(hole)) + whole[hole.stop :]
        last.write_bytes(torn)
        (folder / HEAD_FILE).write_bytes(after)
        with pytest.raises(BadState):
            Audit(folder, KEY, HELD)  # its head was written, so this was a whole record once
        (folder / HEAD_FILE).write_bytes(before)
        with Audit(folder, KEY, HELD) as audit:
            assert audit.head.count == count - 1
        assert last.with_suffix(".torn").read_bytes() == torn[start:]


def test_a_power_cut_before_the_head_is_written_keeps_the_record(folder: Path) -> None:
    before = (folder / HEAD_FILE).read_bytes()
    write(folder, [9])
    (folder / HEAD_FILE).write_bytes(before)
    with Audit(folder, KEY, HELD) as audit:
        assert audit.head.count == 9
    assert verify(folder, KEY).count == 9


def test_a_head_that_a_power_cut_tore_is_made_up_for_by_the_other(folder: Path) -> None:
    for number in (9, 10):
        write(folder, [number])
        slot = number % 2 * 4096
        data = bytearray((folder / HEAD_FILE).read_bytes())
        data[slot + 20] ^= 1
        (folder / HEAD_FILE).write_bytes(data)
        assert verify(folder, KEY).count == number


def test_a_first_line_that_is_torn_leaves_an_empty_record(tmp_path: Path) -> None:
    for name, torn in (("short", b'{"seq":1'), ("long", b"x" * 10_000)):
        folder = tmp_path / name
        with Audit(folder, KEY):
            pass
        (folder / "audit-0000000001.log").write_bytes(torn)
        with Audit(folder, KEY) as audit:
            assert audit.head.count == 0
            assert segments(folder) == []
            assert audit.append("started", {})["seq"] == 1


def test_facts_must_be_json_and_leave_our_names_alone(folder: Path) -> None:
    with Audit(folder, KEY, HELD) as audit:
        for facts in ({"hash": "0"}, {"seq": 1}, {"x": float("inf")}, {"x": object()}, {"x": b"template"}):
            with pytest.raises(BadInput):
                audit.append("granted", facts)
        assert audit.append("granted", {})["seq"] == 9
    assert verify(folder, KEY).count == 9


def test_a_full_disk_is_told_leaves_no_half_record_and_heals(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Audit(folder, KEY) as audit:
        for _ in range(20):
            audit.append("denied", {})
        path = segments(folder)[0]
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, hard))
        try:
            for _ in range(3):
                with pytest.raises(BadState, match="disk"):
                    audit.append("denied", {"long": "x" * 200})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.stat().st_size == size
        assert audit.append("granted", {})["seq"] == 21
    assert verify(folder, KEY).count == 21


def test_a_folder_that_goes_away_heals_when_it_is_back(folder: Path) -> None:
    with Audit(folder, KEY, HELD) as audit:
        audit.append("denied", {})
        away = folder.rename(folder.with_name("away"))
        for _ in range(2):
            with pytest.raises(BadState):
                audit.append("denied", {})
        away.rename(folder)
        assert audit.append("denied", {})["seq"] == 10
    assert verify(folder, KEY).count == 10


def test_a_closed_log_takes_nothing(folder: Path) -> None:
    audit = Audit(folder, KEY, HELD)
    audit.close()
    with pytest.raises(BadState):
        audit.append("granted", {})
    assert verify(folder, KEY).count == 8


def test_a_log_that_is_not_there_is_told(tmp_path: Path) -> None:
    for key in (KEY, None):
        with pytest.raises(BadState, match="There is no audit"):
            verify(tmp_path / "none", key)


def test_it_is_on_disk_before_append_returns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(file: int) -> None:
        real(file)
        synced.append(os.fstat(file).st_ino)

    with Audit(folder, KEY, HELD) as audit:
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "fdatasync", fsync)
        audit.append("granted", {})
        monkeypatch.undo()
    assert synced == [segments(folder)[-1].stat().st_ino, (folder / HEAD_FILE).stat().st_ino]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text().map("x".__add__), json_values, max_size=4), max_size=5))
def test_whatever_is_kept_verifies(
    tmp_path_factory: pytest.TempPathFactory, all_facts: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("audit") / "audit"
    with Audit(folder, KEY, 2) as audit:
        kept = []
        for facts in all_facts:
            try:
                kept.append(audit.append("notice", facts))
            except BadInput:  # a lone surrogate has no UTF-8
                continue
        end = audit.head
    assert verify(folder, KEY) == end
    assert list(read(folder, KEY)) == kept
