"""The audit's files: one segment after the other, each named by the seq of its first record; reading and checking.

The chain goes on across segments. At a start only the last one is read whole, and of the others the two ends, so
that a door with a million records is ready in a second; `latchkey-device audit verify` reads them all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from device.ledger import ADVICE, MAX_LINE, Line, Record
from device.pruned import read_pruned
from firmware_config.chain import Head
from firmware_config.errors import BadState, DiskFault
from firmware_config.files import sync_folder, write_atomic
from firmware_config.keys import SecretKey

NAME: Final = re.compile(r"audit-(\d{10})\.log")
"""Ten digits: at one record a second, three hundred years."""

TORN: Final = ".torn"
"""Suffix, in a segment's place, of what a power cut left half written behind it."""


def segment(folder: Path, first: int) -> Path:
    """first: seq of the segment's first record."""
    return folder / f"audit-{first:010}.log"


def segments(folder: Path) -> list[Path]:
    """In order. Raises BadState for a folder that is not there."""
    try:
        return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))
    except OSError as error:
        raise DiskFault(f"{folder} cannot be read ({error.strerror}).") from error


def first_seq(path: Path) -> int:
    """Of the segment's first record, by its name."""
    return int(path.stem.removeprefix("audit-"))


def apart(paths: Sequence[Path], pruned: Head) -> tuple[list[Path], list[Path]]:
    """-> segments that were pruned and that a power cut has left, and those that count. A cut is between two."""
    return [p for p in paths if first_seq(p) <= pruned.count], [p for p in paths if first_seq(p) > pruned.count]


def remove(paths: Sequence[Path]) -> None:
    """Segments, with what was torn off them, for good. Raises OSError."""
    for path in paths:
        path.with_suffix(TORN).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    if paths:
        sync_folder(paths[0].parent)


def walk(paths: Sequence[Path], previous: Head | None = None) -> Iterator[tuple[Line, str]]:
    """Lines in order, with their places, each checked for itself and against the one before.

    previous: what the first one has to follow; None takes its word for it. Raises BadState at the first that is
    damaged, missing or out of place.
    """
    for path in paths:
        number = 0
        try:
            with path.open("rb") as lines:
                while data := lines.readline(MAX_LINE):
                    number += 1
                    line, place = _line(path, number, data), f"{path}, line {number}"
                    if number == 1 and line.seq != first_seq(path):
                        raise BadState(f"{place}: the file's name does not fit its first record. {ADVICE}")
                    if previous is not None:
                        line.follows(previous, place)
                    previous = line.head
                    yield line, place
        except OSError as error:
            raise DiskFault(f"{path} cannot be read ({error.strerror}).") from error


def read(folder: Path, key: SecretKey, after: int = 0) -> Iterator[Record]:
    """Records with a seq above `after`, in order, from the segment on that has the first of them. Raises BadState."""
    pruned = read_pruned(folder, key)
    _, paths = apart(segments(folder), pruned)
    begun = [path for path in paths if first_seq(path) <= after + 1]
    start = len(begun) - 1 if begun else 0
    for line, place in walk(paths[start:], pruned if start == 0 else None):
        if line.seq > after:
            yield line.open(key, place)


def check_ends(paths: Sequence[Path], pruned: Head) -> None:
    """Whether the first segment goes on where pruning stopped, and each other where the one before ends. Raises
    BadState, OSError."""
    for path in paths[:1]:
        first_line(path).follows(pruned, f"{path}, line 1")
    for before, path in pairwise(paths):
        first_line(path).follows(last_line(before).head, f"{path}, line 1")


def first_line(path: Path) -> Line:
    """Raises BadState, OSError."""
    with path.open("rb") as log:
        return _line(path, 1, log.readline(MAX_LINE))


def last_line(path: Path) -> Line:
    """Raises BadState, OSError."""
    end = end_of_last_line(path)
    start = end_of_last_line(path, end - 1) if end else 0
    with path.open("rb") as log:
        log.seek(start)
        return Line.read(log.read(end - start), f"{path}, its last line")


def cut_torn_line(path: Path, least: int) -> None:
    """What a power cut left behind the last whole line goes into a file beside it: it was never acknowledged.

    least: records that were, by the witness. A torn record may have its end, and zeros in its middle: where it lies
    across two blocks of the disk and the second was written first.
    """
    with path.open("r+b") as log:
        end = _end_of_last_record(path, least)
        log.seek(end)
        torn = log.read(MAX_LINE)
        if not torn:
            return
        write_atomic(path.with_suffix(TORN), torn)
        log.truncate(end)
        log.flush()
        os.fsync(log.fileno())


def _end_of_last_record(path: Path, least: int) -> int:
    end = end_of_last_line(path)
    start = end_of_last_line(path, end - 1) if end else 0
    with path.open("rb") as log:
        seq = first_seq(path) + log.read(start).count(b"\n")
        return start if seq > least and b"\0" in log.read(end - start) else end


def drop_empty(path: Path) -> bool:
    """A segment whose first record never came to be. Raises OSError."""
    if path.stat().st_size:
        return False
    path.unlink()
    sync_folder(path.parent)
    return True


def end_of_last_line(path: Path, size: int | None = None, step: int = 4096) -> int:
    """Offset behind the last newline among the first `size` bytes; 0 when there is none."""
    with path.open("rb") as log:
        end = log.seek(0, os.SEEK_END) if size is None else size
        while end > 0:
            start = max(end - step, 0)
            log.seek(start)
            at = log.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0


def _line(path: Path, number: int, data: bytes) -> Line:
    return Line.read(data, f"{path}, line {number}")
