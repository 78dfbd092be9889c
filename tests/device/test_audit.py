"""The record of decisions: whole or cut at its last line, and never silently changed."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.audit import ORIGIN, Audit, read, record_hash, verify
from firmware_config.errors import BadInput, BadState


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Five records."""
    path = tmp_path / "audit.log"
    with Audit(path) as audit:
        for number in range(5):
            audit.append("denied", {"reason": "unknown_face", "number": number, "name": "Zoë"})
    return path


def test_records_are_chained_and_go_on_after_a_restart(log: Path) -> None:
    with Audit(log) as audit:
        assert audit.head.count == 5
        record = audit.append("granted", {"person": "Ada"})
    assert record["seq"] == 6
    records = list(read(log))
    assert [r["seq"] for r in records] == [1, 2, 3, 4, 5, 6]
    assert records[0]["prev"] == ORIGIN
    assert [r["prev"] for r in records[1:]] == [r["hash"] for r in records[:-1]]
    assert records[-1] == record
    assert verify(log).hash == record["hash"] == record_hash(record)
    assert [r["seq"] for r in read(log, after=4)] == [5, 6]


def test_the_file_is_private(log: Path) -> None:
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_power_cut_at_any_byte_of_the_last_line_loses_that_line_alone(log: Path) -> None:
    whole = log.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for end in range(start, len(whole)):
        log.write_bytes(whole[:end])
        with Audit(log) as audit:
            assert audit.head.count == 4, end
            audit.append("granted", {})
        assert verify(log).count == 5
        torn = log.with_name("audit.log.torn")
        assert (torn.read_bytes() if end > start else b"") == whole[start:end]
        torn.unlink(missing_ok=True)


def test_a_first_line_that_is_torn_leaves_an_empty_record(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b'{"seq":1')
    with Audit(path) as audit:
        assert audit.head.count == 0
    long = tmp_path / "long.log"
    long.write_bytes(b"x" * 10_000)
    with Audit(long) as audit:
        assert audit.head.count == 0
    assert long.read_bytes() == b""


def change_a_field(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b'"number":2', b'"number":7') for line in lines]


def forge_with_a_fresh_hash(lines: list[bytes]) -> list[bytes]:
    record = json.loads(lines[2])
    record["reason"] = "granted"
    record["hash"] = record_hash(record)
    return [*lines[:2], json.dumps(record).encode() + b"\n", *lines[3:]]


DAMAGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a field changed": change_a_field,
    "a record changed and hashed anew": forge_with_a_fresh_hash,
    "a record taken out": lambda lines: lines[:2] + lines[3:],
    "the first record taken out": lambda lines: lines[1:],
    "a record twice": lambda lines: [*lines[:3], lines[2], *lines[3:]],
    "two records exchanged": lambda lines: [lines[1], lines[0], *lines[2:]],
    "an empty line": lambda lines: [*lines[:3], b"\n", *lines[3:]],
    "no JSON": lambda lines: [*lines[:3], b"\xff\xfe\n", *lines[4:]],
    "another kind of JSON": lambda lines: [*lines, b"[]\n"],
    "a number that JSON lacks": lambda lines: [line.replace(b'"number":2', b'"number":NaN') for line in lines],
    "zeros": lambda lines: [*lines[:3], b"\0" * 100 + b"\n", *lines[4:]],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_any_other_damage_is_told(log: Path, name: str) -> None:
    log.write_bytes(b"".join(DAMAGES[name](log.read_bytes().splitlines(keepends=True))))
    before = log.read_bytes()
    with pytest.raises(BadState, match=r"line \d"):
        Audit(log)
    assert log.read_bytes() == before


def test_facts_must_be_json_and_leave_our_names_alone(log: Path) -> None:
    with Audit(log) as audit:
        for facts in ({"hash": "0"}, {"seq": 1}, {"x": float("inf")}, {"x": object()}, {"x": b"template"}):
            with pytest.raises(BadInput):
                audit.append("granted", facts)
        assert audit.append("granted", {})["seq"] == 6
    assert verify(log).count == 6


def test_a_full_disk_is_told_and_leaves_no_half_record(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Audit(path) as audit:
        audit.append("denied", {})
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, hard))
        try:
            with pytest.raises(BadState, match="disk"):
                audit.append("denied", {"long": "x" * 200})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.stat().st_size == size
        assert audit.append("granted", {})["seq"] == 2
    assert verify(path).count == 2


def test_a_closed_log_takes_nothing(log: Path) -> None:
    audit = Audit(log)
    audit.close()
    with pytest.raises(BadState):
        audit.append("granted", {})
    assert verify(log).count == 5


def test_a_log_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadState, match="cannot be read"):
        verify(tmp_path / "none.log")


def test_it_is_on_disk_before_append_returns(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(file: int) -> None:
        real(file)
        synced.append(os.fstat(file).st_size)

    with Audit(log) as audit:
        monkeypatch.setattr(os, "fsync", fsync)
        audit.append("granted", {})
        monkeypatch.undo()
    assert synced == [log.stat().st_size]


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
    path = tmp_path_factory.mktemp("audit") / "audit.log"
    with Audit(path) as audit:
        for facts in all_facts:
            try:
                audit.append("notice", facts)
            except BadInput:  # a lone surrogate has no UTF-8
                continue
        kept = audit.head
    assert verify(path) == kept
