"""A resting door gives memory back: soon after a visit, seldom otherwise."""

from __future__ import annotations

import gc
import mmap
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from device import memory
from device.memory import (
    AFTER_VISIT_S,
    LARGE_PAGES_FROM,
    TIDY_S,
    TRIM_S,
    Tidying,
    ask_for_large_pages,
    large_pieces,
    tidy_memory,
)


def test_memory_that_stays_is_not_looked_at_again_and_what_was_left_behind_goes() -> None:
    class Loop:
        me: Loop

    kept = [Loop() for _ in range(1000)]
    left = Loop()
    left.me = left
    gone = weakref.ref(left)
    del left
    before = gc.get_freeze_count()
    try:
        tidy_memory()
        assert gone() is None
        assert gc.get_freeze_count() >= before + len(kept)
    finally:
        gc.unfreeze()


def test_while_modules_load_nothing_is_looked_at_for_garbage_and_nothing_later(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text("import gc\nwas_on = gc.isenabled()\nkept = [[[]] for _ in range(1000)]\n")
    (tmp_path / "broken.py").write_text("raise ValueError\n")
    program = (
        "import gc\nfrom device.memory import loading\n"
        "with loading():\n    import big\nprint(big.was_on, gc.isenabled(), gc.get_freeze_count() > len(big.kept))\n"
        "try:\n    with loading():\n        import broken\nexcept ValueError:\n    print(gc.isenabled())\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "True", "True", "True"]


@pytest.fixture
def tidied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time that memory was tidied, or only trimmed."""
    told: list[str] = []
    monkeypatch.setattr(memory, "tidy_memory", lambda: told.append("tidied"))
    monkeypatch.setattr(memory, "trim_memory", lambda: told.append("trimmed"))
    return told


def test_it_is_tidied_soon_after_somebody_was_there_and_seldom_when_nobody_came(tidied: list[str]) -> None:
    now = [100.0]
    tidying = Tidying(lambda: now[0])

    def times_in(seconds: float) -> int:
        before = tidied.count("tidied")
        for _ in range(round(seconds)):
            tidying.resting()
            now[0] += 1.0
        return tidied.count("tidied") - before

    assert times_in(TIDY_S) == 1  # what the start left
    assert times_in(2 * TIDY_S) == 2
    tidying.looked(face=True)
    assert times_in(AFTER_VISIT_S) == 1
    assert times_in(TIDY_S - AFTER_VISIT_S) == 0


def test_people_who_come_and_go_do_not_keep_it_tidying(tidied: list[str]) -> None:
    now = [100.0]
    tidying = Tidying(lambda: now[0])
    for _ in range(100):
        tidying.looked(face=True)
        tidying.resting()
        now[0] += 0.2
    assert tidied.count("tidied") == 20.0 / AFTER_VISIT_S


def test_what_a_seldom_look_took_goes_back_at_once_and_no_more_often_than_the_door_looks(tidied: list[str]) -> None:
    now = [100.0]
    tidying = Tidying(lambda: now[0])
    tidying.resting()
    tidied.clear()
    for frame in range(150):  # ten seconds, a look a second
        now[0] += 1 / 15
        if frame % 15 == 0:
            tidying.looked(face=False)
        else:
            tidying.resting()
    assert tidied == ["trimmed"] * 10
    for _ in range(15):  # something moves: looked at and not, by turns
        now[0] += TRIM_S / 15
        tidying.looked(face=False)
        tidying.resting()
    now[0] += TRIM_S
    tidying.resting()
    assert tidied.count("trimmed") <= 12
    tidied.clear()
    for _ in range(5):
        now[0] += TRIM_S
        tidying.resting()
    assert tidied == []


def test_large_pages_are_advice_that_leaves_what_is_there() -> None:
    piece = mmap.mmap(-1, 2 * LARGE_PAGES_FROM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held = np.frombuffer(piece, np.uint8)
    held[::4096] = np.arange(len(held) // 4096) % 251
    middle = held.ctypes.data + len(held) // 2
    assert any(begin <= middle < begin + size for begin, size in large_pieces())
    ask_for_large_pages()
    assert np.array_equal(held[::4096], np.arange(len(held) // 4096) % 251)
