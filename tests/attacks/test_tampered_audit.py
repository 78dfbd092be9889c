"""Somebody with the disk and without the key: the audit cut, edited, reordered, and its head brought down with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.audit import HEAD_FILE, Audit, verify
from device.ledger import Line
from device.segments import segments
from firmware_config.chain import Head, canonical, link_hash
from firmware_config.errors import BadState
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


def lay_out(folder: Path, lines: Sequence[bytes]) -> None:
    """These lines, in segments of HELD."""
    for path in segments(folder):
        path.unlink()
    for start in range(0, len(lines), HELD):
        (folder / f"audit-{start + 1:010}.log").write_bytes(b"".join(lines[start : start + HELD]))


def edit(lines: list[bytes], at: int = 6) -> list[bytes]:
    outside = json.loads(lines[at])
    outside["sealed"] = outside["sealed"][:-8] + "AAAAAAA="
    return [*lines[:at], canonical(outside) + b"\n", *lines[at + 1 :]]


def rechain(lines: list[bytes]) -> list[bytes]:
    """What somebody without the key can do: number and hash everything anew."""
    made, head = [], Head()
    for line in lines:
        outside = {"seq": head.count + 1, "sealed": json.loads(line)["sealed"]}
        link = link_hash(head.hash, outside)
        made.append(canonical({**outside, "prev": head.hash, "hash": link}) + b"\n")
        head = Head(head.count + 1, link)
    return made


DAMAGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a record edited": edit,
    "a record edited and everything hashed anew": lambda lines: rechain(edit(lines)),
    "a record taken out": lambda lines: lines[:6] + lines[7:],
    "a record taken out and everything hashed anew": lambda lines: rechain(lines[:6] + lines[7:]),
    "the first record taken out": lambda lines: lines[1:],
    "a record twice": lambda lines: [*lines[:7], lines[6], *lines[7:]],
    "two records exchanged": lambda lines: [*lines[:6], lines[7], lines[6]],
    "two records exchanged and everything hashed anew": lambda lines: rechain([*lines[:6], lines[7], lines[6]]),
    "the tail cut off": lambda lines: lines[:7],
    "the last segment cut off": lambda lines: lines[:6],
    "everything cut off": lambda lines: [],
    "an empty line": lambda lines: [*lines[:7], b"\n", *lines[7:]],
    "no JSON": lambda lines: [*lines[:7], b"\xff\xfe\n"],
    "another kind of JSON": lambda lines: [*lines, b"[]\n"],
    "a field put in": lambda lines: [*lines[:7], lines[7].replace(b"{", b'{"note":"harmless",', 1)],
    "a number that is none": lambda lines: [*lines[:7], lines[7].replace(b'"seq":8', b'"seq":NaN')],
    "zeros": lambda lines: [*lines[:7], b"\0" * 100 + b"\n"],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_any_other_damage_is_told_at_the_next_start_and_changes_nothing(folder: Path, name: str) -> None:
    lay_out(folder, DAMAGES[name](lines_of(folder)))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(BadState):
        Audit(folder, KEY, HELD)
    with pytest.raises(BadState):
        verify(folder, KEY)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_damage_in_an_old_segment_is_found_by_verify(folder: Path) -> None:
    lay_out(folder, edit(lines_of(folder), at=1))
    with Audit(folder, KEY, HELD) as audit:
        assert audit.head.count == 8, "a start reads the last segment and the ends of the others"
    for key in (KEY, None):
        with pytest.raises(BadState, match=r"audit-0000000001\.log, line 2 was changed"):
            verify(folder, key)


def test_a_segment_taken_out_is_told_at_the_next_start(folder: Path) -> None:
    segments(folder)[1].unlink()
    for look in (lambda: Audit(folder, KEY, HELD), lambda: verify(folder, KEY), lambda: verify(folder)):
        with pytest.raises(BadState, match="missing"):
            look()


@pytest.mark.parametrize("what", ["removed", "emptied", "one slot copied", "one slot wiped", "one slot older"])
def test_the_head_cannot_be_brought_down_with_the_tail(folder: Path, what: str) -> None:
    head = folder / HEAD_FILE
    old = head.read_bytes()
    write(folder, [9, 10])
    new = head.read_bytes()
    lay_out(folder, lines_of(folder)[:9])
    forged = {
        "emptied": b"",
        "one slot copied": new[4096:].ljust(4096, b"\0") + new[4096:],
        "one slot wiped": bytes(4096) + new[4096:],
        "one slot older": old[:4096] + new[4096:],
    }
    if what == "removed":
        head.unlink()
    else:
        head.write_bytes(forged[what])
    if what == "one slot older":
        # Heads 8 and 9, from a copy made in time: the disk as it was after record 9. Only the page knows better.
        assert verify(folder, KEY).count == 9
        return
    with pytest.raises(BadState, match="cut off"):
        Audit(folder, KEY, HELD)


def test_a_head_that_somebody_else_kept_finds_a_whole_folder_put_back(folder: Path) -> None:
    known = verify(folder, KEY)
    older = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(folder, range(9, 12))
    newest = verify(folder, KEY, known)
    assert newest.count == 11
    for path in folder.iterdir():
        path.unlink()
    for name, data in older.items():
        (folder / name).write_bytes(data)
    assert verify(folder, KEY, known) == known
    with pytest.raises(BadState, match="ends at record 8, and 11 were written"):
        verify(folder, KEY, newest)
    with pytest.raises(BadState, match="another record stood here"):
        verify(folder, KEY, Head(5, "ab" * 32))


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_no_bytes_in_place_of_a_line_do_anything_but_being_refused(data: bytes) -> None:
    with pytest.raises(BadState):
        Line.read(data + b"\n", "line 1")


hostile = st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.booleans()


@given(st.fixed_dictionaries({"seq": hostile, "prev": hostile, "hash": hostile, "sealed": hostile}))
def test_no_values_in_a_line_do_anything_but_being_refused(values: dict[str, object]) -> None:
    with pytest.raises(BadState):
        Line.read(json.dumps(values).encode() + b"\n", "line 1")


@given(st.binary(max_size=5000))
def test_no_bytes_in_place_of_the_head_pass(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("audit")
    (folder / HEAD_FILE).write_bytes(data)
    with pytest.raises(BadState):
        verify(folder, KEY)
