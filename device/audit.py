"""The record of every decision and of every administrative act at the door: a sealed hash chain on disk.

    audit/audit-0000000001.log   records, sealed and chained line by line (ledger.py), in segments (segments.py)
    audit/head                   where the chain ends, sealed (witness.py)

A record that is changed, removed, moved or put in breaks the chain; one cut off the end is missed by `head`, by the
outbox, and by the page, which gets the chain's head with every event. A person stands in here by their random id
alone: whoever is erased is nobody here. No image, no template, no embedding goes in. Haber and Stornetta 1991;
Schneier and Kelsey 1999 for logs.

The unlock is handed to the lock first and recorded right after, in the same step of the loop: fsync takes 1 to
100 ms on an SD card, and a power cut in between loses the record of an opening that a camera frame had decided.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from device.ledger import ADVICE, Record, write_line
from device.segments import check_ends, cut_torn_line, drop_empty, first_seq, read, segment, segments, walk
from device.witness import Witness
from firmware_config.chain import Head
from firmware_config.errors import BadState, DiskFault
from firmware_config.files import PRIVATE, drop_half_written, make_folder, sync_folder
from firmware_config.keys import SecretKey

__all__ = ["HEAD_FILE", "Audit", "glance", "read", "verify"]

HEAD_FILE: Final = "head"

SEGMENT_RECORDS: Final = 10_000
"""Records in a file: a month at a busy door, 10 MB, read whole in a second at a start."""


class Audit:
    """The audit log, open for appending. One writer at a time; the daemon's loop is it.

    Opening checks the last segment record by record and how the others hang together. A torn last line (power cut
    while it was written) is cut off and kept beside: it was never acknowledged. Any other damage raises BadState,
    a disk that fails DiskFault.
    """

    def __init__(self, folder: Path, key: SecretKey, segment_records: int = SEGMENT_RECORDS) -> None:
        """key: ledger.audit_key(door_key)."""
        self._folder = folder
        self._key = key
        self._segment_records = segment_records
        self._witness = Witness(folder / HEAD_FILE, key)
        self._closed = False
        self._file = -1
        try:
            self._open()
        except OSError as error:
            raise DiskFault(f"The audit {folder} cannot be used ({error}). Is the disk full?") from error

    def append(self, kind: str, facts: Mapping[str, Any], at: datetime | None = None) -> Record:
        """One record, on disk when this returns.

        facts: JSON values under names other than seq, at, kind, prev and hash. at: aware; now when left out.
        Raises BadInput for facts that JSON does not have; DiskFault when it could not be written: the log is then
        as before, and the next append tries again.
        """
        if self._closed:
            raise BadState(f"The audit {self._folder} is closed.")
        try:
            if self._file < 0:
                self._open()
            line, record = write_line(self._key, self.head, kind, facts, at or datetime.now(timezone.utc))
            self._write(line, Head(record["seq"], record["hash"]))
        except OSError as error:
            raise DiskFault(f"The audit {self._folder} cannot be written ({error}). Is the disk full?") from error
        return record

    def close(self) -> None:
        """Nothing is pending, every record is on disk already."""
        self._closed = True
        self._release()

    def __enter__(self) -> Audit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        make_folder(self._folder, mode=0o700)
        drop_half_written(self._folder)
        paths = segments(self._folder)
        if not self._witness.exists and not any(path.stat().st_size for path in paths):
            self._witness.create(Head())
        seen, least = self._witness.expected()
        if paths:
            cut_torn_line(paths[-1], least)
            if drop_empty(paths[-1]):
                paths.pop()
        self.head = check_end(paths, self._key, seen, least)
        if self.head != seen:
            self._witness.write(self.head)  # a power cut between the record and its head
        self._records = self.head.count - first_seq(paths[-1]) + 1 if paths else self._segment_records
        if paths:
            self._path = paths[-1]
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def _write(self, line: bytes, head: Head) -> None:
        if self._records >= self._segment_records:
            self._begin_segment(head.count)
        before = os.fstat(self._file).st_size
        try:
            _write_whole(self._file, line)
            self._witness.write(head)
        except OSError:
            self._take_back(before)
            raise
        self.head = head
        self._records += 1

    def _begin_segment(self, first: int) -> None:
        path = segment(self._folder, first)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE)
        try:
            sync_folder(self._folder)
        except OSError:
            os.close(file)
            raise
        self._release()
        self._path, self._file, self._records = path, file, 0

    def _take_back(self, size: int) -> None:
        """What cannot be taken back is looked at by opening anew, before the next record."""
        try:
            if os.fstat(self._file).st_size != size:
                os.ftruncate(self._file, size)
                os.fsync(self._file)
        except OSError:
            self._release()

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def glance(folder: Path, key: SecretKey) -> Head:
    """What a start looks at, changing nothing -> where the chain ends. Raises BadState."""
    seen, least = Witness(folder / HEAD_FILE, key).expected()
    return check_end(segments(folder), key, seen, least)


def check_end(paths: list[Path], key: SecretKey, seen: Head, least: int) -> Head:
    """The last segment whole, the ends of the others, and the head that was seen. Raises BadState, OSError."""
    check_ends(paths)
    end = Head()
    for line, place in walk(paths[-1:], Head() if len(paths) == 1 else None):
        line.open(key, place)
        for head in (Head(line.seq - 1, line.prev), line.head):
            refuse_another(head, seen, place)
        end = line.head
    refuse_cut_tail(end.count, least)
    return end


def verify(folder: Path, key: SecretKey | None = None, known: Head | None = None) -> Head:
    """Check every record -> where the chain ends.

    key: opens every seal and `head` too; None checks the chain alone, which whoever can write to the disk can make
    anew. known: a head that somebody else kept; the chain has to go through it. Raises BadState.
    """
    if not folder.is_dir():
        raise BadState(f"There is no audit in {folder}.")
    least = 0
    wanted = [known] if known is not None else []
    if key is not None:
        seen, least = Witness(folder / HEAD_FILE, key).expected()
        wanted.append(seen)
    end = Head()
    for line, place in walk(segments(folder), end):
        if key is not None:
            line.open(key, place)
        for head in wanted:
            refuse_another(line.head, head, place)
        end = line.head
    refuse_cut_tail(end.count, max([least, *(head.count for head in wanted)]))
    return end


def _write_whole(file: int, line: bytes) -> None:
    if os.write(file, line) != len(line):
        raise OSError("the disk took only part of a record")
    os.fsync(file)


def refuse_another(found: Head, known: Head, place: str) -> None:
    """Raises BadState when another record stands where `known` was."""
    if found.count == known.count and found != known:
        raise BadState(f"{place}: another record stood here. {ADVICE}")


def refuse_cut_tail(count: int, least: int) -> None:
    """count: records that are there. least: how many there have been. Raises BadState."""
    if count < least:
        raise BadState(f"The audit ends at record {count}, and {least} were written: its tail was cut off. {ADVICE}")
