"""Rows: one for each target of tests/fuzz, led by coverage (atheris) for an hour of the processor, in as many sittings
as one likes (tests/fuzz/sittings.py). The short run is hypothesis's.

Not in the short bench: `make test` has 10,000 examples on the same targets (tests/fuzz/test_fuzz.py).
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.faults.bench import Figure, Findings, Part, Row, Skipped
from tests.fuzz.sittings import KEPT, found_in
from tests.fuzz.target import HANGS_S, LIMITS_MB

HOUR_S = 3600
SITTING_S = 600
"""Of one process. atheris keeps some 2 KB of every input that instrumented code reads (docs/faults.md): a new process
gives it back, so that the peak is about the target."""
MENDED_S = 60
"""Once more, where the hour is full and something was wrong: perhaps it was mended."""
SHARE = 0.25
"""Of a core, the least that a sitting gets: it is meant to run for hours beside other work, and counts its own time."""
GRACE_S = 120
"""To start, to finish an input, and to write down: on busy cores Gradio alone takes a minute to load."""


def run(name: str, part: Part, findings: Findings, kept: Path = KEPT) -> None:
    """What is missing of part.count seconds of one target, but no more than part.at_most now. What all sittings found
    is told; inputs that crashed it, or hung, are in `kept`/name."""
    folder = kept / name
    found = found_in(folder)
    atheris = importlib.util.find_spec("atheris") is not None
    if not atheris and not found.sittings:
        raise Skipped("this needs atheris: `make fuzz` installs it, or pip install 'latchkey[fuzz]'")
    seconds = min(math.ceil(part.count - found.seconds), part.at_most or part.count)
    if seconds <= 0 and (found.crashes or found.hangs or not found.ended):
        seconds = MENDED_S
    for begun in range(0, seconds if atheris else 0, SITTING_S):
        sitting = min(SITTING_S, seconds - begun)
        ended = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", name, str(sitting), str(part.random.randrange(2**32)), folder],
            timeout=sitting / SHARE + 10 * GRACE_S,
            check=False,
        )
        found = found_in(folder)
        if not found.ended:
            why = f"exit code {ended.returncode}"
            findings.wrong.append(f"libFuzzer ended it ({why}); part.log and {folder}/stuck-* say on what")
            break
    findings.done += min(round(found.seconds), part.count)
    findings.count("crashes", len(found.crashes) + (not found.ended))
    findings.count("hangs", len(found.hangs))
    findings.measure("peak", found.peak_mb)
    findings.count("executions", found.executions)
    findings.note("MB when it began", round(found.begun_mb))
    findings.note("sittings", found.sittings)
    for kind in (found.crashes, found.hangs):
        findings.wrong += [f"{place}: {said}; in {folder}" for place, said in kind.items()]


ROWS = tuple(
    Row(
        name=f"fuzz-{name}",
        title=f"Fuzz: {name}",
        unit="seconds",
        figures=(
            Figure("crashes", "crashes", at_most=0),
            Figure("hangs", f"inputs that took more than {HANGS_S:g} s", at_most=0),
            Figure("peak", "peak memory", at_most=limit_mb, worst=True, unit=" MB"),
            Figure("executions", "executions", at_least=1000),
        ),
        short=0,
        long=HOUR_S,
        part_size=HOUR_S,
        part_limit_s=HOUR_S / SHARE + 12 * GRACE_S,
        run=partial(run, name),
    )
    for name, limit_mb in LIMITS_MB.items()
)
