"""A real PostgreSQL server in a folder of its own, for tests: a socket, no port, and a fresh database each time."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.waiting import until

START_LIMIT_S = 30.0


def server_programs() -> Path:
    """Folder of initdb and postgres, or: the test is skipped here and fails where CI=true, with the package's name."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    if program := shutil.which("initdb"):
        return Path(program).resolve().parent
    sentence = "this test needs PostgreSQL: apt-get install postgresql"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


class Postgres:
    """One server in `folder`, which its own user must be able to reach. with database() as url: a new, empty one."""

    def __init__(self, folder: Path) -> None:
        self._programs = server_programs()
        self._folder = folder
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] * (os.geteuid() == 0)

    def __enter__(self) -> Postgres:
        data = self._folder / "data"
        made = [
            *self._as_user,
            str(self._programs / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "--no-sync",
            "-A",
            "trust",
        ]
        subprocess.run([*made, "-E", "UTF8", "--locale=C.UTF-8"], check=True, capture_output=True, cwd=self._folder)
        settings = {
            "unix_socket_directories": str(self._folder),
            "listen_addresses": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "60",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self._as_user, str(self._programs / "postgres"), "-D", str(data), *options],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        if not until(self._answers, START_LIMIT_S):
            self.__exit__(None, None, None)
            raise TimeoutError(f"PostgreSQL did not start; {self._folder / 'log'} says why.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    @contextmanager
    def database(self) -> Iterator[str]:
        """SQLAlchemy's URL. Dropped in the end: those of hundreds of tests, removed at once by the last, would take it
        longer than a test may take."""
        name = f"test{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        try:
            yield f"postgresql+psycopg://postgres@/{name}?host={self._folder}"
        finally:
            with self._connect() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


def rows_of(url: str) -> bytes:
    """Every table of a database, as COPY writes it."""
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        parts = []
        for (table,) in tables:
            with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
                parts += [bytes(part) for part in copy]
    return b"".join(parts)
