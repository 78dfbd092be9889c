"""Who publishes: one process of all that work on one store. The others leave it to that one, and one takes over.

Two that publish could overtake each other, and the broker would keep the older list of a door. The lease is a lock that
ends with its holder, however that ends: of PostgreSQL's where the store is there, of the state folder's otherwise.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

LOCK_FILE: Final = "publisher.lock"
PUBLISHER_LOCK: Final = 0x1A7D
"""Number of the advisory lock; any number of our own beside the store's."""


SOON_NOTICED: Final = ("tcp_keepalives_idle = 5", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")
"""A holder whose machine vanished loses the lock after 11 s; by itself PostgreSQL asks after two hours whether it is
there. Without meaning on the server's own machine, where a process that ends is noticed at once."""


class Lease(Protocol):
    """Safe to use from any thread."""

    def hold(self) -> bool:
        """True while it is ours; tries to get it where it is not. Never waits for another holder."""

    def release(self) -> None:
        """Let another have it."""


class SoleHolder:
    """Where nobody else can be."""

    def hold(self) -> bool:
        """Always."""
        return True

    def release(self) -> None:
        """Nothing to let go of."""


class FileLease:
    """flock on a file of the state folder: processes of one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._held: int | None = None

    def hold(self) -> bool:
        """As Lease.hold. A folder that cannot be written holds nothing."""
        with self._lock:
            if self._held is not None:
                return True
            with contextlib.suppress(OSError):
                opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os.close(opened)
                    return False
                self._held = opened
            return self._held is not None

    def release(self) -> None:
        """As Lease.release."""
        with self._lock:
            if self._held is not None:
                os.close(self._held)
                self._held = None


class PostgresLease:
    """An advisory lock on a connection of its own: processes of any machines. It ends with the connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def hold(self) -> bool:
        """As Lease.hold. A server that does not answer holds nothing: whoever it answers may take over."""
        with self._lock:
            try:
                if self._connection is not None:
                    self._connection.execute(text("SELECT 1"))
                    return True
                connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                for setting in SOON_NOTICED:
                    connection.execute(text(f"SET {setting}"))
                if connection.scalar(text(f"SELECT pg_try_advisory_lock({PUBLISHER_LOCK})")):
                    self._connection = connection
                    return True
                connection.close()
            except SQLAlchemyError:
                self._drop()
            return False

    def release(self) -> None:
        """As Lease.release."""
        with self._lock:
            if self._connection is not None:
                # At once; by the end of the connection alone the server would notice a moment later.
                with contextlib.suppress(SQLAlchemyError):
                    self._connection.execute(text(f"SELECT pg_advisory_unlock({PUBLISHER_LOCK})"))
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Not back into the pool, where the lock would live on.
            with contextlib.suppress(SQLAlchemyError):
                connection.invalidate()
            with contextlib.suppress(SQLAlchemyError):
                connection.close()
