"""A zip of a few files without compression, judged by its last 22 bytes before anything of it is read.

Python's zipfile makes an object of each entry first: 64 MB of empty entries cost it 7 s and 400 MB, and a bundle comes
over the network before anybody can look at its signature. Layout: PKWARE's APPNOTE, sections 4.3.12 to 4.3.16.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Final

END: Final = struct.Struct("<4s4H2LH")
"""The end record: mark, two disks, entries on this one and in all, size and place of the directory, length of note."""
END_MARK: Final = b"PK\x05\x06"
LARGE_MARK: Final = b"PK\x06\x07"
"""Of what stands before the end record of a zip above 4 GB, and would be believed instead of it."""
LARGE_BYTES: Final = 20
ENTRY_BYTES: Final = 46 + 255
"""Of the directory, for one file, at most: fixed fields and a name."""

ZIP_FAULTS: Final = (
    zipfile.BadZipFile,
    struct.error,
    zlib.error,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What Python's zipfile raises for one damage or another: encryption among them, and a place beyond 2^63 bytes."""


def open_plain_zip(data: bytes, most_files: int) -> zipfile.ZipFile:
    """-> the archive; all its files together are no longer than `data`. Raises ZIP_FAULTS."""
    if len(data) < END.size:
        raise zipfile.BadZipFile("it is too short for a zip")
    mark, _, _, here, files, directory, _, note = END.unpack(data[-END.size :])
    large = data[-END.size - LARGE_BYTES : -END.size].startswith(LARGE_MARK)
    if mark != END_MARK or note or here != files or large:
        raise zipfile.BadZipFile("it does not end as a plain zip does")
    if files > most_files or directory > most_files * ENTRY_BYTES:
        raise zipfile.BadZipFile(f"it says that it has {files} files in {directory} bytes of directory")
    archive = zipfile.ZipFile(io.BytesIO(data))
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise zipfile.BadZipFile(f"{entry.filename!r} is compressed")
    if sum(entry.file_size for entry in archive.infolist()) > len(data):
        raise zipfile.BadZipFile("its files together are longer than the file that holds them")
    return archive
