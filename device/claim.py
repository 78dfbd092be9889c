"""The door's state folder belongs to one daemon at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware_config.errors import BadState
from firmware_config.files import make_folder


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder, made where it is not there; inside, no second daemon writes into it. Raises BadState."""
    try:
        make_folder(folder, mode=0o700)
        # The folder itself is locked: that works on a disk that is full or read-only, too.
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BadState(f"{folder} cannot be used ({error}). It has to belong to this user.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadState(f"Another latchkey-device runs with {folder}. Stop it first.") from error
        except OSError as error:
            raise BadState(f"{folder} cannot be used ({error}). It has to belong to this user.") from error
        yield
    finally:
        os.close(lock)
