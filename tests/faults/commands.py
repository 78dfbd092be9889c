"""Rows: unlock commands that must not open, at the rule itself and through a real broker to a real lock.

At the rule time is handed in and both locks get the same commands: the Python actuator and the firmware's C++,
built for this machine. They must refuse alike, and obey alike the lawful commands in between.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.bench import Figure, Findings, Part, Row, Skipped
from tests.faults.forger import Forger, attack_by_turns
from tests.faults.two_locks import TwoLocks
from tests.faults.wired_lock import WiredLock
from tests.lock_firmware import build

TOLD = 5
"""So many of what went wrong are told with their bytes; the figure counts all."""

AT_THE_RULE = {
    "replayed": 60,
    "delayed": 60,
    "retained": 8,
    "reordered": 60,
    "duplicated": 60,
    "bit-flipped": 60,
    "another door's": 60,
    "before a restart": 60,
}
"""Attacks in a bout at most. What has to be answered one by one has short ones."""

ON_THE_WIRE = AT_THE_RULE | {"retained": 3}
LONGEST_WAIT_MS = 120_000
LONGEST_WAIT_ON_THE_WIRE_MS = 4_500


def run_at_the_rule(part: Part, findings: Findings) -> None:
    """part.count attacks on both locks, by the same clock."""
    draw = part.random
    with TwoLocks(draw, _firmware(part.folder)) as locks:
        forger = Forger(locks, draw, LONGEST_WAIT_MS)
        attack_by_turns(forger, draw, part.count, AT_THE_RULE)
        findings.count("opened", len(locks.opened))
        findings.wrong += locks.opened[:TOLD]
        findings.count("alike", len(locks.differences))
        findings.wrong += locks.differences[:TOLD]
        _tell(forger, findings)


def run_on_the_wire(part: Part, findings: Findings) -> None:
    """part.count attacks on a lock of its own. Opened is counted twice: by its results, and by its relay."""
    draw = part.random
    with WiredLock(part.folder) as lock:
        forger = Forger(lock, draw, LONGEST_WAIT_ON_THE_WIRE_MS)
        attack_by_turns(forger, draw, part.count, ON_THE_WIRE)
        lock.settle()
        findings.count("opened", len(lock.opened))
        findings.wrong += lock.opened[:TOLD] + lock.unanswered[:TOLD]
        findings.count("unfounded", max(0, lock.openings - (forger.lawful - forger.unopened)))
        _tell(forger, findings)


def _firmware(folder: Path) -> Path:
    try:
        return build(folder)
    except pytest.skip.Exception as skipped:
        raise Skipped(str(skipped)) from skipped


def _tell(forger: Forger, findings: Findings) -> None:
    findings.done += sum(forger.tried.values())
    findings.count("unopened", forger.unopened)
    findings.count("lawful", forger.lawful - forger.unopened)
    for kind, count in forger.tried.items():
        findings.note(kind, count)


CONTROLS = (
    Figure("unopened", "lawful commands that did not open", at_most=0),
    Figure("lawful", "lawful commands that opened", at_least=1),
)

ROWS = (
    Row(
        name="commands",
        title="Unlock commands that must not open, at the rule: Python and C++",
        unit="commands",
        figures=(
            Figure("opened", "opened", at_most=0),
            Figure("alike", "answered differently by the two locks", at_most=0),
            *CONTROLS,
        ),
        short=20_000,
        long=1_000_000,
        part_size=100_000,
        part_limit_s=1800,
        run=run_at_the_rule,
    ),
    Row(
        name="commands-wire",
        title="Unlock commands that must not open, through a real broker to a real lock",
        unit="commands",
        figures=(
            Figure("opened", "opened, by the lock's results", at_most=0),
            Figure("unfounded", "opened, by the relay", at_most=0),
            *CONTROLS,
        ),
        short=200,
        long=10_000,
        part_size=500,
        part_limit_s=900,
        run=run_on_the_wire,
    ),
)
