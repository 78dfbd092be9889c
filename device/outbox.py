"""Events on their way to the page: kept on disk, sealed, until the page has said that it stored them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from firmware_config.errors import BadState, DiskFault
from firmware_config.files import PRIVATE
from firmware_config.keys import SealRefused, SecretKey

KEY_CONTEXT: Final = "door-outbox"
"""What door.key is asked for."""

SEALED: Final = 1
"""PRAGMA user_version since payloads are sealed; version 0.1 left it at 0 and kept them as they go out."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS taken (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), seq INTEGER NOT NULL);
INSERT OR IGNORE INTO taken VALUES (1, 0);
"""


@dataclass(frozen=True)
class Pending:
    """An event that the page has not acknowledged yet. payload: the message as it goes out."""

    event_id: str
    payload: bytes


class Outbox:
    """A SQLite file, WAL and synchronous=FULL: what `add` took is there after a power cut (0.6 ms a commit).

    Payloads are sealed, each for its event's id: what goes out tells when somebody came and whether they got in, and a
    copied SD card must not. Ids are random. Deleted rows are overwritten (secure_delete).

    `taken` is the seq of the last audit record that came in here. It outlives the events, so that `reconcile`
    brings in what a power cut kept from coming, and nothing twice.
    """

    def __init__(self, path: Path, key: SecretKey) -> None:
        """key: outbox_key(door_key). Raises BadState when the file is damaged, DiskFault when the disk is."""
        self._path = path
        self._key = key
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._told():
            path.touch(mode=PRIVATE)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            with self._told():
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.execute("PRAGMA secure_delete=ON")
                found = self._db.execute("PRAGMA quick_check").fetchone()[0]
                if found != "ok":
                    raise sqlite3.DatabaseError(found)
                self._db.executescript(SCHEMA)
                self._seal_old_rows()
                self._count = int(self._db.execute("SELECT count(*) FROM outbox").fetchone()[0])
        except BadState:
            self._db.close()
            raise

    def add(self, event_id: str, payload: bytes, audit_seq: int = 0) -> bool:
        """Keep an event; on disk when this returns. False: it is or was here already.

        audit_seq: seq of its audit record; one that was taken before is not taken again. 0: it has none.
        Raises BadState.
        """
        with self._lock:
            with self._told(), self._transaction():
                added = self._take(event_id, payload, audit_seq)
            self._count += added
            return added

    def pending(self, limit: int = 100) -> list[Pending]:
        """The oldest first, as they were added. Raises BadState."""
        with self._lock, self._told():
            rows = self._db.execute("SELECT event_id, payload FROM outbox ORDER BY position LIMIT ?", (limit,))
            return [Pending(event_id, self._key.open(_place(event_id), payload)) for event_id, payload in rows]

    def drop(self, event_ids: Iterable[str]) -> int:
        """The page has stored these -> how many were here; unknown ids are nothing to worry about."""
        with self._lock:
            with self._told(), self._transaction():
                one_each = [(event_id,) for event_id in event_ids]
                gone = self._db.executemany("DELETE FROM outbox WHERE event_id = ?", one_each).rowcount
            self._count -= max(gone, 0)
            return max(gone, 0)

    def __len__(self) -> int:
        # Asked for with every frame; counting a hundred thousand rows takes milliseconds.
        return self._count

    @property
    def taken(self) -> int:
        """seq of the last audit record that came in."""
        with self._lock, self._told():
            return self._taken()

    def reconcile(
        self,
        records: Iterable[dict[str, Any]],
        head: int,
        event_of: Callable[[dict[str, Any]], Pending | None],
    ) -> int:
        """Take in what the audit has and the outbox has not, in one transaction -> how many events.

        records: of `audit.read(folder, key, after=outbox.taken)`, in order. head: the audit's last seq. event_of: a
        record -> its event as it would have been sent (the id stands in the record), None for a record that is none.
        Raises BadState when the outbox is ahead of the audit: records were cut off the audit's end.
        """
        if self.taken > head:
            raise BadState(
                f"The audit ends at record {head}, the outbox has seen {self.taken}: records were cut off its end. "
                f"Keep both files as evidence and move {self._path} away."
            )
        with self._lock:
            with self._told(), self._transaction():
                found = [(event_of(record), record["seq"]) for record in records]
                added = sum(self._take(event.event_id, event.payload, seq) for event, seq in found if event)
            self._count += added
            return added

    def close(self) -> None:
        """Nothing is pending; every change is on disk already."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _seal_old_rows(self) -> None:
        """Version 0.1's, once, and no page of the file keeps what they were."""
        if self._db.execute("PRAGMA user_version").fetchone()[0] >= SEALED:
            return
        with self._transaction():
            for position, event_id, payload in self._db.execute("SELECT * FROM outbox").fetchall():
                sealed = self._key.seal(_place(event_id), payload)
                self._db.execute("UPDATE outbox SET payload = ? WHERE position = ?", (sealed, position))
            self._db.execute(f"PRAGMA user_version = {SEALED}")
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _take(self, event_id: str, payload: bytes, audit_seq: int) -> bool:
        if audit_seq and audit_seq <= self._taken():
            return False
        kept = self._db.execute(
            "INSERT OR IGNORE INTO outbox (event_id, payload) VALUES (?, ?)",
            (event_id, self._key.seal(_place(event_id), payload)),
        )
        if audit_seq:
            self._db.execute("UPDATE taken SET seq = ?", (audit_seq,))
        return kept.rowcount == 1

    def _taken(self) -> int:
        return int(self._db.execute("SELECT seq FROM taken").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have rolled it back already
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise DiskFault(f"The outbox {self._path} cannot be used ({error}). Is the disk full?") from error
        except (sqlite3.Error, SealRefused) as error:
            raise BadState(
                f"The outbox {self._path} cannot be used ({error}). Move it away and keep it: the audit still has "
                "every record."
            ) from error


def outbox_key(door_key: SecretKey) -> SecretKey:
    """The key that a door's outbox is sealed with."""
    return door_key.derive(KEY_CONTEXT)


def _place(event_id: str) -> str:
    return f"latchkey-outbox-1|{event_id}"
