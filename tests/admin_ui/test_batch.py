"""Many people at once: what is read, what is refused and why, and that nothing is saved before the yes."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from admin_ui import batch, days
from admin_ui.batch import read_rows, result_table
from admin_ui.service import Office
from firmware_config.errors import BadInput
from firmware_config.roster import Roster

Photo = Callable[..., bytes]


def zipped(folder: Path, files: dict[str, bytes | str]) -> Path:
    path = folder / "batch.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_batch_waits_for_its_yes_and_then_each_door_gets_one_list(
    office: Office, photo: Photo, tmp_path: Path, roster_of: Callable[[str], Roster]
) -> None:
    office.add_door("back", "boss")
    table = "file,name,doors,from,until,consent\na.png,Ana Almeida,front,2026-01-01,2026-12-31,yes\nb.png,Bo,,,,no\n"
    files = {"people.csv": table, "staff/a.png": photo(1), "staff/b.png": photo(7)}
    seen: list[tuple[int, int]] = []
    read = office.read_batch(zipped(tmp_path, files), "boss", lambda done, of: seen.append((done, of)))
    assert [(row.name, row.ok, row.sentence) for row in read.rows] == [
        ("Ana Almeida", True, "One face, good to enrol."),
        ("Bo", True, "One face, good to enrol."),
    ]
    assert seen == [(1, 2), (2, 2)]
    assert office.people() == []
    before = {door: roster_of(door).generation for door in ("front", "back")}

    assert office.enrol_batch("boss").sentence == "2 people are enrolled."
    ana, bo = office.people()
    assert (ana.doors, bo.doors) == (("front",), ("back", "front"))
    assert (days.first_day(ana.valid_from), days.last_day(ana.valid_until)) == ("2026-01-01", "2026-12-31")
    assert (ana.consent_version, bo.consent_version) == (1, 0)
    assert {door: roster_of(door).generation for door in before} == {door: one + 1 for door, one in before.items()}
    waits = office.waiting_batch("boss")
    assert waits is not None
    assert b"Ana Almeida,front,2026-01-01,2026-12-31,yes,enrolled" in result_table(waits.rows)
    with pytest.raises(BadInput, match="Nobody in this batch"):
        office.enrol_batch("boss")


def test_each_row_that_is_no_good_says_why_and_the_others_are_enrolled(
    office: Office, photo: Photo, tmp_path: Path, ada: str
) -> None:
    table = (
        "file;name;doors\na.png;Ada's double;\nb.png;Bo;\nb.png;Bo again;\nmissing.png;Cy;\nd.png;Di;cellar\n"
        "e.png;;\nf.png;Flo;\nb.png;ada lovelace;\n"
    )
    files = {"x.csv": table, "a.png": photo(1), "b.png": photo(7), "d.png": photo(3), "e.png": photo(4), "f.png": b"no"}
    read = office.read_batch(zipped(tmp_path, files), "boss")
    told = {row.name: (row.ok, row.sentence) for row in read.rows}
    assert told["Bo"] == (True, "One face, good to enrol.")
    assert "that of Ada Lovelace too (enrolled already" in told["Ada's double"][1]
    assert "that of Bo too (in this batch" in told["Bo again"][1]
    assert "no photo 'missing.png'" in told["Cy"][1]
    assert "no door 'cellar'; the doors are: front" in told["Di"][1]
    assert "name is missing" in told[""][1]
    assert "not an image" in told["Flo"][1]
    assert "named ada lovelace already (enrolled already)" in told["ada lovelace"][1]
    assert read.good == 1
    assert office.enrol_batch("boss").sentence == "1 people are enrolled."
    assert [person.name for person in office.people()] == ["Ada Lovelace", "Bo"]


def test_what_was_enrolled_meanwhile_is_left_out(office: Office, photo: Photo, tmp_path: Path) -> None:
    files = {"ana.png": photo(1), "bo.png": photo(7)}
    office.read_batch(zipped(tmp_path, files), "boss")
    office.enrol("Somebody", photo(1), [], "olga")
    office.enrol_batch("boss")
    waits = office.waiting_batch("boss")
    assert waits is not None
    assert [(row.name, row.done) for row in waits.rows] == [("Ana", False), ("Bo", True)]
    assert "that of Somebody too" in waits.rows[0].sentence


def test_a_batch_is_its_accounts_own_and_can_be_dropped(office: Office, photo: Photo, tmp_path: Path) -> None:
    office.read_batch(zipped(tmp_path, {"ana.png": photo(1)}), "boss")
    with pytest.raises(BadInput, match="no batch of yours"):
        office.enrol_batch("olga")
    office.drop_batch("boss")
    assert office.waiting_batch("boss") is None
    assert office.people() == []


def test_without_a_table_people_are_named_by_their_files() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("photos/ana_maria  almeida.JPG", b"x")
        archive.writestr("__MACOSX/photos/._ana.jpg", b"x")
        archive.writestr("notes.txt", b"x")
    rows, files = read_rows(stream)
    assert [row.name for row in rows] == ["Ana Maria Almeida"]
    assert list(files) == ["photos/ana_maria  almeida.JPG"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no photo in this ZIP"),
        ({"a.csv": "file,name\n", "b.csv": "file,name\n", "a.png": b"x"}, "several CSV files"),
        ({"a.csv": "photo,who\n", "a.png": b"x"}, "first line has to name its columns: file, name"),
        ({"a.csv": b"file,name\n\xff\xfe,x\n", "a.png": b"x"}, "not UTF-8"),
        ({"a.csv": "file,name\n" + "a.png,x\n" * (batch.MOST_ROWS + 1), "a.png": b"x"}, "at most 1000"),
        ({"a.csv": b"file,name\n" + bytes(batch.MOST_CSV_BYTES), "a.png": b"x"}, "more than 1 MB"),
    ],
)
def test_a_zip_that_is_no_batch_says_what_to_do(tmp_path: Path, files: dict[str, bytes | str], says: str) -> None:
    with zipped(tmp_path, files).open("rb") as stream, pytest.raises(BadInput, match=says):
        read_rows(stream)


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x05\x06" + bytes(10), b"PK\x03\x04" + bytes(100)])
def test_what_is_no_zip_gets_a_sentence(data: bytes) -> None:
    with pytest.raises(BadInput, match="not a whole ZIP file"):
        read_rows(io.BytesIO(data))


def test_a_file_that_unpacks_to_more_than_a_photo_is_read_no_further(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(40 * 2**20))
    assert path.stat().st_size < 100_000
    with path.open("rb") as stream:
        _, files = read_rows(stream)
        assert files["a.png"] == "a.png has more than 32 MB. Make it smaller."


def test_one_photo_at_a_time_is_unpacked(office: Office, photo: Photo, tmp_path: Path) -> None:
    large = bytes(16 * 2**20)
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"zero {number}.png", large)
        archive.writestr("ana.png", photo(1))
    tracemalloc.start()
    try:
        read = office.read_batch(path, "boss")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [row.ok for row in read.rows] == [False] * 8 + [True]
    assert most < 4 * len(large)


def _unmarked(path: Path) -> Path:
    """The same ZIP as a Mac makes it: its names are UTF-8, and no flag says so."""
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + flags + 1] &= ~0x08
            place = data.find(mark, place + 1)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("marked", [True, False])
def test_a_zip_of_a_mac_names_people_as_they_are_typed(tmp_path: Path, form: Any, marked: bool) -> None:
    path = zipped(tmp_path, {unicodedata.normalize(form, "fotos/josé_núñez.png"): b"x", "zoë.png": b"x"})
    with (path if marked else _unmarked(path)).open("rb") as stream:
        rows, files = read_rows(stream)
    assert [row.name for row in rows] == ["José Núñez", "Zoë"]
    assert list(files) == ["fotos/josé_núñez.png", "zoë.png"]


@pytest.mark.parametrize(("table", "file"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_table_and_a_zip_meet_however_their_accents_are_written(
    office: Office, photo: Photo, tmp_path: Path, table: Any, file: Any
) -> None:
    names = unicodedata.normalize(table, "file,name\nJOSÉ.png,Zoë Núñez\n")
    files = {"p.csv": names, unicodedata.normalize(file, "fotos/josé.png"): photo(1)}
    (row,) = office.read_batch(zipped(tmp_path, files), "boss").rows
    assert (row.name, row.sentence) == ("Zoë Núñez", "One face, good to enrol.")


@pytest.mark.parametrize(
    ("names", "page", "read"),
    [
        (["josé.png", "zoë_núñez.png"], "cp437", ["José", "Zoë Núñez"]),
        (["王伟.png", "李娜.png", "陈喆.png"], "gb18030", ["王伟", "李娜", "陈喆"]),
        # Wrong, and shown before anybody is saved: a ZIP does not say which page it is.
        (["иван.png"], "cp866", ["¿óá¡"]),
    ],
)
def test_names_in_a_code_page_are_read_as_dos_or_a_chinese_windows_wrote_them(
    names: list[str], page: str, read: list[str]
) -> None:
    stream = io.BytesIO()
    places = {chr(ord("A") + number) * len(name.encode(page)): name for number, name in enumerate(names)}
    with zipfile.ZipFile(stream, "w") as archive:
        for place in places:
            archive.writestr(place, b"x")
    packed = stream.getvalue()
    for place, name in places.items():
        packed = packed.replace(place.encode(), name.encode(page))
    rows, _ = read_rows(io.BytesIO(packed))
    assert [row.name for row in rows] == read


def test_a_name_that_stands_in_a_field_of_its_own_is_taken_from_there() -> None:
    name = "王伟.png".encode()
    entry = zipfile.ZipInfo("wang.png")
    # Info-ZIP's Unicode path: version, the other name's checksum, the name (APPNOTE, section 4.6.9).
    entry.extra = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, zlib.crc32(b"wang.png")) + name
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(entry, b"x")
    rows, _ = read_rows(stream)
    assert [row.name for row in rows] == ["王伟" if sys.version_info >= (3, 12) else "Wang"]


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "\u202egnp.exe", "=HYPERLINK(1)", "x" * 10_000, "a\x00b", "../../etc/passwd"]
)
def test_hostile_names_change_nothing(office: Office, photo: Photo, tmp_path: Path, name: str) -> None:
    quoted = name.replace('"', '""')
    files = {"t.csv": f'file,name\na.png,"{quoted}"\n', "a.png": photo(1), f"../{name[:50].strip(chr(0))}.png": b"x"}
    read = office.read_batch(zipped(tmp_path, files), "boss")
    (row,) = read.rows
    table = result_table(read.rows).decode("utf-8-sig").splitlines()
    assert len(table) == 2 or not row.ok
    assert not any(line.split(",")[1].startswith("=") for line in table[1:])
    assert not (tmp_path.parent / "passwd.png").exists()


@pytest.mark.parametrize("wrong", ["31.3.2026", "2026-02-30", "tomorrow", "0000-01-01", "9999-12-31"])
def test_a_day_that_is_none_says_how_to_write_it(wrong: str) -> None:
    with pytest.raises(BadInput, match="Write it as 2026-03-31"):
        days.day(wrong)
