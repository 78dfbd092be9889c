"""One exit button, two locks: what its wire does opens the Python lock and the ESP32's firmware alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from device.lockset import READ_S, Lockset, Told
from device.relay import SimulatedRelay
from tests.lock_firmware import Firmware, build
from tests.wires import PlayedInputs

BEAT_MS = 10
REST = (False, 6000)
"""Longer than an opening lasts."""
PRESS = (True, 300)
SPARK = (True, 10)
LOOSE = (False, 10)

WIRES: dict[str, tuple[list[tuple[bool, int]], int]] = {
    "pressed twice": ([REST, PRESS, REST, PRESS, REST], 2),
    "nobody": ([REST], 0),
    "shorted since before the start": ([(True, 20_000)], 0),
    "shorted, and loose for a moment now and then": ([*[(True, 900), LOOSE] * 10, (True, 3000)], 0),
    "shorted, mended, then pressed": ([(True, 3000), REST, PRESS, REST], 1),
    "held down over the start, let go, pressed again": ([(True, 500), (False, 500), PRESS, REST], 1),
    "up for a moment at the start, then down for good": ([LOOSE, (True, 20_000)], 0),
    "a short circuit that comes later": ([REST, (True, 4000), REST], 1),
    "sparks": ([REST, *[SPARK, (False, 200)] * 20], 0),
}
"""Levels of the wire with their milliseconds, from the first look on, and how often the bolt is let go."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("lock"))


def looks(wire: list[tuple[bool, int]], every_ms: int) -> Iterator[tuple[int, bool]]:
    """(milliseconds, level) as a lock sees it that looks so often."""
    now, end = 0, 0
    for level, lasts in wire:
        end += lasts
        while now < end:
            yield now, level
            now += every_ms


def python_lock(wire: list[tuple[bool, int]]) -> int:
    inputs, exits, now = PlayedInputs(), [0], [0.0]

    def told() -> None:
        exits[0] += 1

    lockset = Lockset(SimulatedRelay(lambda _line: None), inputs, Told(exit=told), 0.2, lambda: now[0])
    for ms, level in looks(wire, round(READ_S * 1000)):
        now[0], inputs.down = ms / 1000, level
        lockset.beat()
    lockset.rest()
    return exits[0]


def firmware(program: Path, wire: list[tuple[bool, int]]) -> int:
    openings, was = 0, False
    with Firmware(program, bytes(range(32)).hex(), "office/front") as lock:
        for ms, level in looks(wire, BEAT_MS):
            lock.at(ms)
            lock.order(f"exit {level:d}")
            lock.order("beat")
            openings += lock.strike and not was
            was = lock.strike
    return openings


@pytest.mark.parametrize("name", WIRES)
def test_a_wire_opens_both_locks_alike(program: Path, name: str) -> None:
    wire, openings = WIRES[name]
    assert (python_lock(wire), firmware(program, wire)) == (openings, openings)
