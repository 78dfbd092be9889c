"""The audit of version 0.1 is sealed once, with every record, and its plain copy goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device.audit import Audit, read, verify
from device.plain_audit import seal_plain_audit
from firmware_config.chain import ORIGIN, canonical, link_hash
from firmware_config.errors import BadState
from firmware_config.keys import SecretKey

KEY = SecretKey(bytes(range(32)))


def plain(count: int) -> list[bytes]:
    """As version 0.1 wrote them."""
    lines, previous = [], ORIGIN
    for seq in range(1, count + 1):
        record: dict[str, Any] = {"seq": seq, "at": f"2025-01-01T08:00:{seq % 60:02}.000+00:00", "kind": "event"}
        record |= {"event": f"e{seq}", "outcome": "granted", "reason": "granted", "prev": previous}
        record["detail"] = {"person": "Zoë Featherstonehaugh", "person_id": "id-zoe", "distance": 0.4}
        previous = record["hash"] = link_hash(previous, record)
        lines.append(canonical(record) + b"\n")
    return lines


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """25 plain records, the last line of a 26th torn."""
    made = tmp_path / "state"
    made.mkdir()
    (made / "audit.log").write_bytes(b"".join(plain(25)) + b'{"at":"2025')
    (made / "audit.log.torn").write_bytes(b"Featherstonehaugh")
    return made


def everything(state: Path) -> bytes:
    return b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())


def test_every_record_is_carried_over_without_its_name(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.plain_audit.SEGMENT_RECORDS", 10)
    assert seal_plain_audit(state, state / "audit", KEY) == 25
    assert sorted(path.name for path in state.iterdir()) == ["audit"]
    assert b"Featherstonehaugh" not in everything(state)
    with Audit(state / "audit", KEY, 10) as audit:
        assert audit.append("started", {})["seq"] == 26
    assert verify(state / "audit", KEY).count == 26
    records = list(read(state / "audit", KEY))
    assert [record["seq"] for record in records] == list(range(1, 27))
    assert records[4]["at"] == "2025-01-01T08:00:05.000+00:00"
    assert records[4]["event"] == "e5"
    assert records[4]["detail"] == {"person_id": "id-zoe", "distance": 0.4}
    assert seal_plain_audit(state, state / "audit", KEY) == 0


def test_a_power_cut_between_sealing_and_removing_ends_with_one_of_each(state: Path) -> None:
    kept = (state / "audit.log").read_bytes()
    (state / ".audit.making").mkdir()
    (state / ".audit.making" / "audit-0000000001.log").write_bytes(b"half")
    assert seal_plain_audit(state, state / "audit", KEY) == 25
    (state / "audit.log").write_bytes(kept)
    assert seal_plain_audit(state, state / "audit", KEY) == 0
    assert sorted(path.name for path in state.iterdir()) == ["audit"]
    assert verify(state / "audit", KEY).count == 25


@pytest.mark.parametrize("at", [0, 12, 24])
def test_a_plain_record_that_was_changed_is_told_and_kept_as_evidence(state: Path, at: int) -> None:
    lines = plain(25)
    forged = json.loads(lines[at]) | {"reason": "unknown_face"}
    for changed in (canonical(forged) + b"\n", b"[]\n", b"\n"):
        (state / "audit.log").write_bytes(b"".join([*lines[:at], changed, *lines[at + 1 :]]))
        with pytest.raises(BadState, match=rf"line {at + 1} "):
            seal_plain_audit(state, state / "audit", KEY)
        assert (state / "audit.log").exists()
        assert not (state / "audit").exists()
