"""Files change whole: a reader, or a power cut, finds the old one or the new one and nothing between.

The order (write, fsync, replace, fsync of the folder) is the one that python-tuf's updater and LWN's
"Ensuring data reaches disk" describe.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

PRIVATE = 0o600
"""Mode of keys and of anything with a template in it."""
PUBLIC = 0o644
"""Mode of certificates and settings: nothing in them is secret."""


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Put `data` at `path`, whole and on disk when this returns. Raises OSError; `path` is then as before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)  # noqa: PTH105  # the atomic call is named as POSIX names it
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` last. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
