"""The project's log, made quiet for as long as a test throws thousands of bad messages, and no longer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_errors() -> Iterator[None]:
    """Refusals are said at WARNING, and a million of them would be a million lines. What a test leaves quiet stays so
    for all that come after it, so the level is put back, through setLevel: loggers remember what they let through."""
    log = logging.getLogger("latchkey")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
