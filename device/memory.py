"""The daemon's memory: little of it, and given back while nobody is there."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

M_ARENA_MAX: Final = -8
"""glibc's malloc.h."""

ARENAS: Final = 2

AFTER_VISIT_S: Final = 5.0
"""Seconds between two times that a door tidies its memory when it rests again: a visit leaves 40 MB behind, and people
come and go."""

TIDY_S: Final = 60.0
"""Seconds between two times when nobody came: some milliseconds' work, for what messages left."""

TRIM_S: Final = 0.9
"""Seconds between two times that the detector's working memory goes back, 9 MB: a resting door looks once a second."""

LARGE_PAGES_FROM: Final = 32 * 2**20
"""Bytes in one piece. In pages of 4 kB a pass over 128 MB spends a third of its time on finding the pages."""

MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
"""Linux' madvise(2). The second is there from 6.1 on; before, the kernel's own thread gets round to it."""


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Around imports: what they make stays, and looking through it for garbage takes a tenth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def few_arenas() -> None:
    """Before any thread: glibc gives each its own pool of memory, which for a handful of threads is 20 MB of holes."""
    _libc("mallopt", M_ARENA_MAX, ARENAS)


def settle_memory() -> None:
    """After the start: what is there stays, so no garbage collection between frames looks at it again; and what reading
    settings, list and networks took is free, so the system may have it."""
    gc.freeze()
    trim_memory()


def trim_memory() -> None:
    """What is free goes back to the system; a millisecond's work."""
    _libc("malloc_trim", 0)


def tidy_memory() -> None:
    """While nobody is there: what visits and messages have left behind goes back now, not in the middle of a frame."""
    gc.collect()
    settle_memory()


class Tidying:
    """Says when to tidy: soon after somebody was there, seldom when nobody came. One thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: monotonic seconds."""
        self._clock = clock
        self._somebody_came = self._looked = True
        self._tidied_at = self._trimmed_at = float("-inf")

    def looked(self, face: bool) -> None:
        """The networks ran; face: and somebody is there."""
        self._looked = True
        self._somebody_came |= face

    def resting(self) -> None:
        """Nobody looks at this frame: tidy, where it is due."""
        now = self._clock()
        if now - self._tidied_at >= (AFTER_VISIT_S if self._somebody_came else TIDY_S):
            self._somebody_came = self._looked = False
            self._tidied_at = now
            tidy_memory()
        elif self._looked and now - self._trimmed_at >= TRIM_S:
            self._looked, self._trimmed_at = False, now
            trim_memory()


def ask_for_large_pages() -> None:
    """For whatever this process holds in one large piece. Advice alone: where it cannot be had, all goes on."""
    with contextlib.suppress(OSError, AttributeError):
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for begin, size in large_pieces():
            for advice in (MADV_HUGEPAGE, MADV_COLLAPSE):
                advise(begin, size, advice)


def large_pieces() -> Iterator[tuple[int, int]]:
    """Anonymous memory of at least LARGE_PAGES_FROM: where it begins, bytes."""
    for line in Path("/proc/self/maps").read_text(encoding="ascii", errors="replace").splitlines():
        span, rights, _offset, _device, inode, *name = line.split(maxsplit=5)
        begin, end = (int(place, 16) for place in span.split("-"))
        if rights == "rw-p" and inode == "0" and not name and end - begin >= LARGE_PAGES_FROM:
            yield begin, end - begin


def _libc(name: str, *arguments: int) -> None:
    # musl has neither; there is nothing to do then.
    with contextlib.suppress(OSError, AttributeError):
        getattr(ctypes.CDLL(None), name)(*arguments)
