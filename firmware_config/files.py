"""Files change whole: a reader, or a power cut, finds the old one or the new one and nothing between.

The order (write, fsync, replace, fsync of the folder) is the one that python-tuf's updater and LWN's
"Ensuring data reaches disk" describe.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

PRIVATE = 0o600
"""Mode of keys and of anything with a template in it."""
OTHERS_WRITE_S = 60.0
"""Older than this, a file that another process was writing will never be finished; one takes milliseconds."""
PUBLIC = 0o644
"""Mode of certificates and settings: nothing in them is secret."""


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Put `data` at `path`, whole and on disk when this returns. Raises OSError; `path` is then as before."""
    write_parts(path, [data], mode)


def write_parts(path: Path, parts: Iterable[bytes | memoryview], mode: int = PRIVATE) -> None:
    """As write_atomic, for what is made piece by piece."""
    make_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        error.filename = str(path)  # the passing name says nothing to whoever reads it
        raise
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            for part in parts:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)  # noqa: PTH105  # the atomic call is named as POSIX names it
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
    sync_folder(path.parent)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """A folder that is there after a power cut too, with those above it. mode: of the last one. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def is_missing(path: Path) -> bool:
    """True where nothing is there; False also where that may not be looked at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def drop_half_written(folder: Path, name: str = "*", older_than_s: float = 0.0) -> None:
    """Remove what a power cut in the middle of write_atomic has left of `name` (or of all, with a pattern).

    older_than_s: where another process may be writing just now. On a disk that takes nothing they stay.
    """
    for path in folder.glob(f".{name}.????????"):
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` last. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
