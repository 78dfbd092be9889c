"""The store: opening, migrating, transactions. SQLite by default, any SQLAlchemy URL otherwise."""

from __future__ import annotations

import contextlib
import sqlite3
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.pool import ConnectionPoolEntry

from admin_ui.lease import LOCK_FILE, FileLease, Lease, PostgresLease
from admin_ui.models import DoorRow, PersonRow
from firmware_config.errors import BadInput, BadState

STORE_FILE: Final = "store.db"
BUSY_TIMEOUT_MS: Final = 5000
"""How long a writer waits for another process (the command line beside the page): a thousand SQLite commits."""
WRITING: Final = "latchkey_writing"
TOLD_CHARACTERS: Final = 63
"""Of a name that is not there; the longest that a door may have."""
PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",  # 0.6 ms a commit, and an erased person stays erased after a power cut
    "foreign_keys=ON",
    "secure_delete=ON",  # erased templates are overwritten, not merely unlinked
    f"busy_timeout={BUSY_TIMEOUT_MS}",
)


JOINERS: Final = "\u200c\u200d"
"""Unicode's zero width non-joiner and joiner: Persian and the scripts of India are not written rightly without them,
and no eye tells whether one is there."""
NO_JOINERS: Final = dict.fromkeys(map(ord, JOINERS))

POSTGRES_LOCK: Final = 0x1A7C
"""Number of the advisory lock that lets one writer at a time in, as SQLite does; any number of our own."""

SERVER_OPTIONS: Final[dict[str, Any]] = {"pool_pre_ping": True}
"""A database server may have been restarted: a dead connection is found out before it is used, not by a person."""


LOCKED: Final = "Somebody else is writing; try again in a moment. Nothing was changed."
SQLITE_LOCKED: Final = ("database is locked", "database table is locked")
"""Texts of SQLITE_BUSY and SQLITE_LOCKED; Python 3.10 does not tell the codes."""
POSTGRES_LOCKED: Final = frozenset({"55P03", "40P01"})
"""SQLSTATE: lock_not_available, deadlock_detected. There a writer waits for as long as the server's lock_timeout."""


class StoreDown(BadState):
    """Nothing can be stored now: no disk, no connection, or somebody else writes for too long."""


class Store:
    """Transactions over one database. Safe to use from any thread."""

    def __init__(self, url: str) -> None:
        """url: SQLAlchemy's. Opens and migrates to this version's tables. Raises BadState."""
        try:
            self.witnesses: list[Callable[[Mapping[Any, Any]], None]] = []
            """Called after each transaction with its Session.info: what must not be lost with the store is kept."""
            self._engine = create_engine(url, **SERVER_OPTIONS if not url.startswith("sqlite") else {})
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _on_connect)
                event.listen(self._engine, "begin", _on_begin)
            if self._engine.dialect.name == "postgresql":
                event.listen(self._engine, "begin", _on_begin_postgres)
            self._writer = self._engine.execution_options(**{WRITING: True})
            one_view = {"isolation_level": "REPEATABLE READ"} if self._engine.dialect.name == "postgresql" else {}
            self._reader = self._engine.execution_options(**one_view)
            _migrate(self._writer)
        except (SQLAlchemyError, sqlite3.Error, ImportError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise BadState(
                f"The store {_masked(url)} cannot be opened: {reason}. Restore it from a backup, or correct "
                "`store` in admin.toml."
            ) from error

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view; nothing is written. Raises BadState."""
        with _stated(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: all of it on disk at the end, or on an exception none. Raises BadState."""
        with _stated(), Session(self._writer, expire_on_commit=False) as session:
            with session.begin():
                yield session
            for see in self.witnesses:
                see(session.info)

    def lease(self, state: Path) -> Lease:
        """Who publishes, among all that work on this store. state: the folder of those that share a SQLite file."""
        if self._engine.dialect.name == "postgresql":
            return PostgresLease(self._engine)
        return FileLease(state / LOCK_FILE)

    def scrub(self) -> None:
        """Fold the write-ahead log into the database, so that what was erased is in neither. Raises BadState."""
        self._tidy("PRAGMA wal_checkpoint(TRUNCATE)")

    def compact(self) -> None:
        """Write the database anew without what was deleted: secure_delete leaves scraps in half-used pages, and the
        disk gets nothing back by itself. Writers wait for as long. Raises BadState."""
        self._tidy("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")

    def _tidy(self, *statements: str) -> None:
        if self._engine.dialect.name != "sqlite":
            return
        with _stated(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.execute(text(statement))

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def open_store(url: str, state: Path) -> Store:
    """url: empty for SQLite in the folder `state`, which is made when missing. Raises BadState."""
    if not url:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = state / STORE_FILE
        # Created here first: SQLite would make it readable to everybody that the umask lets in.
        path.touch(mode=0o600, exist_ok=True)
        url = f"sqlite:///{path}"
    return Store(url)


def utc_now() -> datetime:
    """Aware, UTC."""
    return datetime.now(timezone.utc)


def new_id() -> str:
    """A person's id: random, so that it says nothing and is never given twice."""
    return uuid.uuid4().hex


def folded(text: str) -> str:
    """What makes two texts the same to who reads them: case aside, and however an accent is written (NFC, once more
    because folding takes some letters apart)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def name_key(name: str) -> str:
    """What makes two names the same: as folded, and spaces and joiners aside."""
    return folded(" ".join(name.translate(NO_JOINERS).split()))


def shortened(name: str) -> str:
    """What was asked for, quoted, as it is told back in a sentence: nobody reads ten thousand characters."""
    return repr(name if len(name) <= TOLD_CHARACTERS else f"{name[:TOLD_CHARACTERS]}...")


def find_door(session: Session, name: str) -> DoorRow:
    """In a writing transaction locked until its end, where the database can (SQLite locks whole). Raises BadInput."""
    query = select(DoorRow).where(DoorRow.name == name)
    if session.get_bind().get_execution_options().get(WRITING):
        query = query.with_for_update()
    row = session.scalar(query)
    if row is None:
        known = ", ".join(session.scalars(select(DoorRow.name).order_by(DoorRow.name))) or "none yet"
        if not name:
            raise BadInput(f"Choose a door first; the doors are: {known}.")
        raise BadInput(f"There is no door named {shortened(name)}; the doors are: {known}.")
    return row


def refuse_taken(session: Session, name: str) -> None:
    """Raises BadInput where there is a door of that name."""
    if session.get(DoorRow, name) is not None:
        raise BadInput(
            f"There is already a door named {name!r}. Choose another name. If adding it was cut off, this finishes it: "
            f"`latchkey-admin door renew {name}`."
        )


def new_door(session: Session, name: str, encoder_id: str) -> DoorRow:
    """A door without roster yet, generation 0. Raises BadInput for a name that is taken."""
    refuse_taken(session, name)
    row = DoorRow(name=name, generation=0, policy={}, applied={}, audit={}, roster=b"", created=utc_now())
    row.encoder_id = encoder_id
    session.add(row)
    return row


def find_person(session: Session, person_id: str) -> PersonRow:
    """With doors. Raises BadInput."""
    query = (
        select(PersonRow)
        .where(PersonRow.id == person_id)
        .options(selectinload(PersonRow.memberships), selectinload(PersonRow.portraits))
    )
    row = session.scalar(query)
    if row is None:
        raise BadInput("This person is not enrolled (any more). Reload the list.")
    return row


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        present = _revision(connection)
    if present == head:
        return
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _on_connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # Python's sqlite3 begins transactions late and not before reads; _on_begin does it properly instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin_postgres(connection: Connection) -> None:
    # Who reads first and writes later must not have read what another page process is changing.
    if connection.get_execution_options().get(WRITING):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")


def _on_begin(connection: Connection) -> None:
    # A writer takes its lock at once: two that read first and write later would both fail, not wait.
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(WRITING) else "BEGIN")


@contextlib.contextmanager
def _stated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        said = LOCKED if _locked(error.orig) else f"The store failed ({error.orig}). Nothing was changed."
        raise StoreDown(said) from error
    except DBAPIError as error:
        raise BadState(f"The store failed ({error.orig}). Nothing was changed.") from error


def _locked(error: BaseException | None) -> bool:
    """Did somebody else write for too long?"""
    if isinstance(error, sqlite3.Error):
        return str(error).startswith(SQLITE_LOCKED)
    return getattr(error, "sqlstate", None) in POSTGRES_LOCKED


def _masked(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://***@{tail}" if at else url
