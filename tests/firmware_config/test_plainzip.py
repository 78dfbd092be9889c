"""Zips that claim more than they are: refused before anything of them is read."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import pytest

from firmware_config.bundle import BundleRefused, read_bundle
from firmware_config.plainzip import END, open_plain_zip

ENTRY = struct.Struct("<4s6H3I5H2I")


def zipped(files: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def crowded(entries: int) -> bytes:
    """So many empty files, in the directory alone."""
    directory = (ENTRY.pack(b"PK\x01\x02", *[0] * 9, 1, *[0] * 6) + b"a") * entries
    return directory + END.pack(b"PK\x05\x06", 0, 0, entries & 0xFFFF, entries & 0xFFFF, len(directory), 0, 0)


def overlapping() -> bytes:
    """Two names for one and the same megabyte."""
    data = bytearray(zipped({"a": bytes(2**20), "b": b""}))
    first, second = (data.index(b"PK\x01\x02", start) for start in (2**20, data.index(b"PK\x01\x02", 2**20) + 4))
    data[second + 16 : second + 28] = data[first + 16 : first + 28]
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def placed_beyond(place: int) -> bytes:
    """One byte under a bundle's first name, with a zip64 field that says where the file begins."""
    name, body = b"manifest.json", bytes(60)
    large = struct.pack("<HHQ", 1, 8, place)
    fields = (45, 45, 0, 0, 0, 33, 0, 1, 1, len(name), len(large), 0, 0, 0, 0, 2**32 - 1)
    directory = ENTRY.pack(b"PK\x01\x02", *fields) + name + large
    return body + directory + END.pack(b"PK\x05\x06", 0, 0, 1, 1, len(directory), len(body), 0)


GOOD = zipped({"a": b"1", "b": b"2"})


def test_a_plain_zip_is_opened() -> None:
    with open_plain_zip(GOOD, 2) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "short"),
        (GOOD[:-1], "end"),
        (GOOD + b"\0", "end"),
        (zipped({"a": b"1", "b": b"2", "c": b"3"}), "3 files"),
        (zipped({"a": bytes(10_000)}, zipfile.ZIP_DEFLATED), "compressed"),
        (overlapping(), "longer than the file"),
        (GOOD[:-22] + b"PK\x06\x07" + bytes(16) + GOOD[-22:], "end"),
    ],
)
def test_any_other_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(zipfile.BadZipFile, match=why):
        open_plain_zip(data, 2)


def test_a_million_entries_cost_nothing() -> None:
    data = crowded(1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(zipfile.BadZipFile, match="says that it has"):
            open_plain_zip(data, 2)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("place", [2**64 - 1, 2**63, 2**63 - 1, 2**32])
def test_a_file_beyond_all_there_is_makes_no_bundle(place: int) -> None:
    data = placed_beyond(place)
    assert len(data) < 200
    with pytest.raises(BundleRefused) as refused:
        read_bundle(data, [])
    assert refused.value.reason == "not_a_bundle"
