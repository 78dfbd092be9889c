"""Tables for a spreadsheet: CSV that no cell of can become a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes a formula by (OWASP, "CSV Injection"), and the same in full width."""
BOM: Final = "\ufeff"
"""Without it, Excel reads UTF-8 as the local code page."""


def safe_cell(value: object) -> str:
    """The text of a cell; an apostrophe before what a spreadsheet would compute, unless it is a plain number."""
    text = "" if value is None else str(value)
    if isinstance(value, (int, float)) or not text.lstrip(" ").startswith(FORMULA):
        return text
    return f"'{text}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8, CRLF at each line's end (RFC 4180)."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([safe_cell(cell) for cell in head])
    writer.writerows([[safe_cell(cell) for cell in row] for row in rows])
    return (BOM + stream.getvalue()).encode("utf-8")
