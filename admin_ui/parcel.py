"""A ZIP of photos and a CSV, file by file: one photo at a time is unpacked, whatever the others would come to."""

from __future__ import annotations

import contextlib
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import IO, Final

from admin_ui.enrol import MAX_PHOTO_BYTES
from firmware_config.errors import BadInput
from firmware_config.plainzip import ZIP_FAULTS

PHOTO_ENDS: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm")
NAME_IS_UTF8: Final = 0x800
"""Bit 11 of an entry's flags (PKWARE's APPNOTE, section 4.4.4)."""
DOS: Final = "cp437"
FIRST_IDEOGRAPH: Final = 0xB0
"""First byte of GB 2312's first Chinese character; its signs and foreign letters come before."""
MOSTLY: Final = 0.8
"""Share of GB 2312's characters in Chinese names, at least: rarer ones stand outside of it. What other code pages write
seldom falls upon them."""


class Parcel(Mapping[str, "bytes | str"]):
    """Name of each photo -> its bytes, or a sentence that says why there are none; read when it is asked for, so the
    file has to be open. Names are composed (NFC), whoever made the ZIP."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises ZIP_FAULTS."""
        self._archive = zipfile.ZipFile(file)
        packed = [one for one in self._archive.infolist() if not one.is_dir()]
        named = list(zip(_names(packed), packed, strict=True))
        # Folders of a Mac's own are no photos.
        entries = [(name, one) for name, one in named if not _hidden(name)]
        self._tables = [(name, one) for name, one in entries if name.lower().endswith(".csv")]
        self._photos = {name: one for name, one in entries if name.lower().endswith(PHOTO_ENDS)}

    def __getitem__(self, name: str) -> bytes | str:
        entry = self._photos[name]
        try:
            return _read(self._archive, name, entry, MAX_PHOTO_BYTES)
        except BadInput as error:
            return str(error)
        except ZIP_FAULTS as error:
            return f"This file in the ZIP is damaged or has a password ({error}). Put it in anew."

    def __contains__(self, name: object) -> bool:
        return name in self._photos  # Mapping's own would unpack it

    def __iter__(self) -> Iterator[str]:
        return iter(self._photos)

    def __len__(self) -> int:
        return len(self._photos)

    def table(self, most_bytes: int) -> bytes | None:
        """The one CSV; None where there is none. Raises BadInput, ZIP_FAULTS."""
        if len(self._tables) > 1:
            raise BadInput("There are several CSV files in this ZIP. Leave one of them in, and send it again.")
        return _read(self._archive, *self._tables[0], most_bytes) if self._tables else None


def _read(archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo, most: int) -> bytes:
    """What a header claims is not believed: at most so many bytes are unpacked. Raises BadInput, ZIP_FAULTS."""
    with archive.open(entry) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise BadInput(f"{PurePosixPath(name).name} has more than {most // 2**20} MB. Make it smaller.")
    return data


def _names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    # A name that is not marked as UTF-8 is in a code page that the ZIP does not tell; zipfile reads it as DOS's.
    packed = [_unmarked(one) for one in entries]
    page = _code_page([name for name in packed if name is not None])
    read = [one.filename if name is None else name.decode(page) for one, name in zip(entries, packed, strict=True)]
    return [unicodedata.normalize("NFC", name) for name in read]


def _unmarked(entry: zipfile.ZipInfo) -> bytes | None:
    """The name as it was packed; None where it is marked as UTF-8, or zipfile took it from a field that always is."""
    if entry.flag_bits & NAME_IS_UTF8:
        return None
    try:
        return entry.filename.encode(DOS)
    except UnicodeEncodeError:
        return None


def _code_page(names: Sequence[bytes]) -> str:
    """UTF-8, which a Mac writes without saying so; GB 18030, which a Chinese Windows writes; otherwise DOS's."""
    together = b"/".join(names)
    with contextlib.suppress(UnicodeDecodeError):
        together.decode("utf-8")
        return "utf-8"
    with contextlib.suppress(UnicodeDecodeError):
        foreign = [letter for letter in together.decode("gb18030") if not letter.isascii()]
        common = sum(letter.encode("gb2312", "replace")[0] >= FIRST_IDEOGRAPH for letter in foreign)
        if common >= MOSTLY * len(foreign):
            return "gb18030"
    return DOS


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
