"""Somebody with the disk and without the key, and an audit that was pruned: no beginning passes but the door's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from device.audit import Audit, verify
from device.proof import PRUNING
from device.pruned import PRUNED_FILE, read_pruned, write_pruned
from device.segments import segments
from firmware_config.chain import Head
from firmware_config.errors import BadInput, BadState
from firmware_config.keys import SecretKey
from tests.pruned_audit import HELD, SEALED, pruned_door


def older_pruned_put_back(folder: Path) -> None:
    with Audit(folder, SEALED, HELD) as audit:
        old = (folder / PRUNED_FILE).read_bytes()
        heads = [Head(record["seq"], record["hash"]) for record in (audit.append("event", {}) for _ in range(4))]
        audit.append("event", {"reason": PRUNING, "detail": {"prune": str(heads[2])}})
        audit.prune(heads[2])
    (folder / PRUNED_FILE).write_bytes(old)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "another segment cut off": lambda folder: segments(folder)[0].unlink(),
    "the mark removed": lambda folder: (folder / PRUNED_FILE).unlink(),
    "the mark emptied": lambda folder: (folder / PRUNED_FILE).write_bytes(b""),
    "the mark sealed by somebody else": lambda folder: pruning_mark(folder, SecretKey.generate()),
    "an older mark put back": older_pruned_put_back,
    "the head in the mark's place": lambda folder: shutil.copy(folder / "head", folder / PRUNED_FILE),
}


def pruning_mark(folder: Path, key: SecretKey) -> None:
    write_pruned(folder, key, read_pruned(folder, SEALED))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Records 10 to 15; 1 to 9 were pruned."""
    audit, through = pruned_door(tmp_path / "audit")
    audit.prune(through)
    for _ in range(4):
        audit.append("event", {})
    audit.close()
    return tmp_path / "audit"


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_cut_off_the_beginning_is_told_at_the_next_start(folder: Path, name: str) -> None:
    DAMAGES[name](folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for look in (lambda: Audit(folder, SEALED, HELD), lambda: verify(folder, SEALED)):
        with pytest.raises(BadState):
            look()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_is_left_is_still_guarded(folder: Path) -> None:
    middle = segments(folder)[0]
    lines = middle.read_bytes().splitlines(keepends=True)
    for damaged in ([lines[0], lines[2]], [lines[0], lines[2], lines[1]], [lines[0], lines[1][:-9] + b'"00000"}\n']):
        middle.write_bytes(b"".join(damaged))
        for key in (SEALED, None):
            with pytest.raises(BadState):
                verify(folder, key)
    middle.write_bytes(b"".join(lines))
    segments(folder)[-1].unlink()
    with pytest.raises(BadState, match="cut off"):
        Audit(folder, SEALED, HELD)


def test_a_mark_without_a_record_that_tells_of_it_is_found(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit", SEALED, HELD) as audit:
        heads = [Head(record["seq"], record["hash"]) for record in (audit.append("event", {}) for _ in range(7))]
        audit.prune(heads[2])
    with pytest.raises(BadState, match="no record says that it was pruned"):
        verify(tmp_path / "audit", SEALED)


def test_a_head_from_before_cannot_be_looked_for_any_more(folder: Path) -> None:
    with pytest.raises(BadInput, match="Record 5 was pruned; the oldest that is left is 10"):
        verify(folder, SEALED, Head(5, "ab" * 32))
    with pytest.raises(BadState, match="another record stood here"):
        verify(folder, SEALED, Head(9, "ab" * 32))
    assert verify(folder).count == 15, "without the key the chain alone, from where it begins"
