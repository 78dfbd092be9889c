"""A ZIP of photos and a CSV, file by file: one photo at a time is unpacked, whatever the others would come to."""

from __future__ import annotations

import contextlib
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import IO, Final

from admin_ui.enrol import MAX_PHOTO_BYTES
from firmware_config.errors import BadInput
from firmware_config.plainzip import ZIP_FAULTS

PHOTO_ENDS: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm")
NAME_IS_UTF8: Final = 0x800
"""Bit 11 of an entry's flags (PKWARE's APPNOTE, section 4.4.4)."""


class Parcel(Mapping[str, "bytes | str"]):
    """Name of each photo -> its bytes, or a sentence that says why there are none; read when it is asked for, so the
    file has to be open. Names are composed (NFC), whoever made the ZIP."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises ZIP_FAULTS."""
        self._archive = zipfile.ZipFile(file)
        named = [(_name(one), one) for one in self._archive.infolist() if not one.is_dir()]
        # Folders of a Mac's own are no photos.
        entries = [(name, one) for name, one in named if not _hidden(name)]
        self._tables = [one for name, one in entries if name.lower().endswith(".csv")]
        self._photos = {name: one for name, one in entries if name.lower().endswith(PHOTO_ENDS)}

    def __getitem__(self, name: str) -> bytes | str:
        entry = self._photos[name]
        try:
            return _read(self._archive, entry, MAX_PHOTO_BYTES)
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
        return _read(self._archive, self._tables[0], most_bytes) if self._tables else None


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """What a header claims is not believed: at most so many bytes are unpacked. Raises BadInput, ZIP_FAULTS."""
    with archive.open(entry) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise BadInput(f"{PurePosixPath(_name(entry)).name} has more than {most // 2**20} MB. Make it smaller.")
    return data


def _name(entry: zipfile.ZipInfo) -> str:
    name = entry.filename
    if not entry.flag_bits & NAME_IS_UTF8:
        # A Mac writes UTF-8 without saying so, and zipfile then reads it as code page 437.
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
