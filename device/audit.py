"""The record of every decision and of every administrative act at the door: a sealed hash chain on disk.

    audit/audit-0000000001.log   records, sealed and chained line by line (ledger.py), in segments (segments.py)
    audit/head                   where the chain ends, sealed (witness.py)
    audit/pruned                 where it begins, once old segments were pruned, sealed (pruned.py)

A record that is changed, removed, moved or put in breaks the chain; one cut off the end is missed by `head`, by the
outbox, and by the page, which gets the chain's head with every event. What is missing at the beginning has to be what a
record further on tells of, which the page has stored before anything was removed (pruning.py). A person stands in here
by their random id alone: whoever is erased is nobody here. No image, no template, no embedding goes in. Haber and
Stornetta 1991; Schneier and Kelsey 1999 for logs.

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

from device.ledger import Record, write_line
from device.proof import check_end, glance, verify
from device.pruned import read_pruned, write_pruned
from device.segments import apart, cut_torn_line, drop_empty, first_seq, last_line, read, remove, segment, segments
from device.witness import HEAD_FILE, Witness
from firmware_config.chain import Head
from firmware_config.errors import BadInput, BadState, DiskFault
from firmware_config.files import PRIVATE, drop_half_written, make_folder, sync_folder
from firmware_config.keys import SecretKey

__all__ = ["HEAD_FILE", "Audit", "glance", "read", "verify"]

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
        self.pruned = Head()
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

    def prune(self, through: Head) -> int:
        """Remove the oldest segments for good -> how many. through: where one of them ends, but not the last.

        A power cut leaves all of them, or some that are removed at the next start. Raises BadInput for another head,
        BadState, DiskFault.
        """
        try:
            _, paths = apart(segments(self._folder), self.pruned)
            old, left = apart(paths, through)
            if not old or not left or last_line(old[-1]).head != through:
                raise BadInput(f"Record {through.count} ends no file of the audit before its last.")
            write_pruned(self._folder, self._key, through)
            self.pruned = through
            remove(old)
        except OSError as error:
            raise DiskFault(f"The audit {self._folder} cannot be pruned ({error}).") from error
        return len(old)

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
        self.pruned = read_pruned(self._folder, self._key)
        left_over, paths = apart(segments(self._folder), self.pruned)
        if not self._witness.exists and not self.pruned.count and not any(path.stat().st_size for path in paths):
            self._witness.create(Head())
        seen, least = self._witness.expected()
        if paths:
            cut_torn_line(paths[-1], least)
            if drop_empty(paths[-1]):
                paths.pop()
        self.head = check_end(paths, self._key, self.pruned, seen, least)
        remove(left_over)
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


def _write_whole(file: int, line: bytes) -> None:
    if os.write(file, line) != len(line):
        raise OSError("the disk took only part of a record")
    os.fsync(file)
