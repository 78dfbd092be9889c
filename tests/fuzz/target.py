"""What is fuzzed: a name, good documents to begin with, and a function that takes any bytes.

A target may refuse what it is given with one of the project's own errors. Anything else that it raises is a crash,
and so is an exception that a thread's last guard has caught and logged: there it would have been lost in a house.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest import mock

from firmware_config.errors import LatchkeyError
from tests.logs import only_errors

HANGS_S: Final = 2.0
"""Processor seconds for one input of at most 256 KiB; not by the wall's clock, which other work would spoil. As WebP
the largest photo that is read, 40 megapixels in 70 kB, takes 1.1 s."""
LIMITS_MB: Final = {
    **dict.fromkeys(("photo", "page"), 1024),
    **dict.fromkeys(("door-toml", "admin-toml", "pairing", "training-toml", "bundle", "roster", "kept"), 512),
    **dict.fromkeys(("mqtt-door", "mqtt-lock", "mqtt-office"), 768),
}
"""Every target's name, and the resident memory that an hour of it may need: atheris and what the target loads (100 to
300 MB), and where photos are read, one of 40 megapixels (765 MB as WebP). Here, so that the bench loads none."""

Eat = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """seeds: documents as the project's own writers make them. opened: an empty folder -> a context with the function.

    examples: of the 10,000 in `make test`.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    opened: Callable[[Path], AbstractContextManager[Eat]]
    examples: int


class Crash(Exception):
    """An exception that is none of the project's own, from wherever it was caught."""


class Hang(Exception):
    """One input took longer than HANGS_S."""


class Watched:
    """Calls a target, and knows what went wrong: a context, for the logs are listened to."""

    def __init__(self, eat: Eat) -> None:
        self._eat = eat
        self._ears = _Ears()
        self._log = logging.getLogger("latchkey")
        self._everything = ExitStack()

    def __enter__(self) -> Watched:
        with ExitStack() as made:
            made.enter_context(only_errors())
            made.enter_context(mock.patch.object(self._log, "propagate", False))
            self._log.addHandler(self._ears)
            made.callback(self._log.removeHandler, self._ears)
            self._everything = made.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._everything.close()

    def __call__(self, data: bytes) -> None:
        """Raises Crash, Hang."""
        begun = time.process_time()
        try:
            self._eat(data)
        except LatchkeyError:
            pass
        except Exception as error:
            raise Crash(f"{type(error).__name__}: {str(error)[:200]}") from error
        if self._ears.heard:
            error = self._ears.heard.pop()
            self._ears.heard.clear()
            raise Crash(f"{type(error).__name__}, caught and logged: {str(error)[:200]}") from error
        took_s = time.process_time() - begun
        if took_s > HANGS_S:
            raise Hang(f"{len(data)} bytes took {took_s:.2f} s of the processor")


class _Ears(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, LatchkeyError):
            self.heard.append(error)
