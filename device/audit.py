"""The record of every decision: JSON lines on disk, each carrying the hash of the one before (a hash chain).

A record that is changed, removed or put in between breaks the chain. Cutting records off the end does not: for
that, compare `Head.hash` with the copy that somebody else keeps (the outbox does for its own events).
No image, no template, no embedding goes in. Haber and Stornetta 1991; Schneier and Kelsey 1999 for logs.

The unlock is handed to the lock first and recorded right after, in the same step of the loop: fsync takes 1 to
100 ms on an SD card, and a power cut in between loses the record of an opening that a camera frame had decided.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from firmware_config.errors import BadInput, BadState
from firmware_config.files import PRIVATE, sync_folder, write_atomic

ORIGIN: Final = "0" * 64
"""`prev` of the first record."""

RESERVED: Final = frozenset({"seq", "at", "kind", "prev", "hash"})

Record = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """Where a chain ends. count: records, 0 for none; the last one's seq. hash: its hash, hex."""

    count: int = 0
    hash: str = ORIGIN


class Audit:
    """The audit log, open for appending. One writer at a time; the daemon's loop is it.

    Opening checks the whole chain. A torn last line (power cut while it was written) is cut off and kept beside
    as `.torn`: it was never acknowledged. Any other damage raises BadState.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._broken = False
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        if existed:
            _cut_torn_line(path)
        self.head = verify(path) if existed else Head()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE)
        if not existed:
            sync_folder(path.parent)

    def append(self, kind: str, facts: Mapping[str, Any], at: datetime | None = None) -> Record:
        """One record, on disk when this returns.

        facts: JSON values under names other than seq, at, kind, prev and hash. at: aware; now when left out.
        Raises BadInput for facts that JSON does not have; BadState when it could not be written: the log is then
        as before, or has to be opened again.
        """
        if RESERVED & facts.keys():
            raise BadInput(f"The audit keeps {', '.join(sorted(RESERVED & facts.keys()))} for itself.")
        moment = (at or datetime.now(timezone.utc)).isoformat(timespec="milliseconds")
        record: Record = {"seq": self.head.count + 1, "at": moment, "kind": kind, **facts}
        record["prev"] = self.head.hash
        try:
            record["hash"] = record_hash(record)
            line = _canonical(record) + b"\n"
        except (TypeError, ValueError) as error:
            raise BadInput(f"The audit cannot keep {kind} as JSON: {error}.") from error
        self._write(line)
        self.head = Head(record["seq"], record["hash"])
        return record

    def close(self) -> None:
        """Once; nothing is pending, every record is on disk already."""
        os.close(self._file)
        self._broken = True

    def __enter__(self) -> Audit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        if self._broken:
            raise BadState(f"{self._path} is closed or could not be written; start the door again.")
        before = os.fstat(self._file).st_size
        try:
            _write_whole(self._file, line)
        except OSError as error:
            try:
                os.ftruncate(self._file, before)
                os.fsync(self._file)
            except OSError:
                # Neither written nor taken back: only opening anew, which checks all, can tell what is there.
                self._broken = True
            raise BadState(f"{self._path} cannot be written ({error}). Is the disk full?") from error


def record_hash(record: Mapping[str, Any]) -> str:
    """sha256, hex, of `prev` and the record's canonical JSON without `hash`. Raises TypeError, ValueError."""
    rest = {name: value for name, value in record.items() if name != "hash"}
    return sha256(str(rest["prev"]).encode() + _canonical(rest)).hexdigest()


def read(path: Path, after: int = 0) -> Iterator[Record]:
    """Records in order, the whole chain checked on the way; those up to seq `after` are checked, not given.

    Raises BadState at the first record that is damaged, missing or out of place, and for a file that is not there.
    """
    previous = Head()
    try:
        with path.open("rb") as lines:
            for line in lines:
                record = _checked(path, line, previous)
                previous = Head(record["seq"], record["hash"])
                if record["seq"] > after:
                    yield record
    except OSError as error:
        raise BadState(f"{path} cannot be read ({error.strerror}).") from error


def verify(path: Path) -> Head:
    """Check the whole chain. Raises BadState, naming the line."""
    head = Head()
    for record in read(path):
        head = Head(record["seq"], record["hash"])
    return head


def _write_whole(file: int, line: bytes) -> None:
    if os.write(file, line) != len(line):
        raise OSError("the disk took only part of a record")
    os.fsync(file)


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _checked(path: Path, line: bytes, previous: Head) -> Record:
    place = f"{path}, line {previous.count + 1}"
    advice = "Move it and the outbox beside it away and keep both as evidence; the door then begins anew."
    try:
        record: Record = json.loads(line)
        fits = isinstance(record, dict) and record["hash"] == record_hash(record)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadState(f"{place} is not an audit record. {advice}") from error
    if not fits or not line.endswith(b"\n"):
        raise BadState(f"{place} was changed after it was written. {advice}")
    if record["prev"] != previous.hash or record["seq"] != previous.count + 1:
        raise BadState(f"{place}: a record before this one is missing or was put in. {advice}")
    return record


def _cut_torn_line(path: Path) -> None:
    with path.open("r+b") as log:
        data_end = log.seek(0, os.SEEK_END)
        whole = _end_of_last_line(path, data_end)
        if whole == data_end:
            return
        log.seek(whole)
        write_atomic(path.with_name(path.name + ".torn"), log.read())
        log.truncate(whole)
        log.flush()
        os.fsync(log.fileno())


def _end_of_last_line(path: Path, size: int) -> int:
    """Offset behind the last newline; 0 when there is none."""
    step = 4096
    with path.open("rb") as log:
        for start in range(max(size - step, 0), -step, -step):
            log.seek(max(start, 0))
            at = log.read(min(step, size)).rfind(b"\n")
            if at >= 0:
                return max(start, 0) + at + 1
    return 0
