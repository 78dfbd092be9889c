"""Rows: one for each target of tests/fuzz, led by coverage (atheris) for an hour. The short run is hypothesis's.

Not in the short bench: `make test` has 10,000 examples on the same targets (tests/fuzz/test_fuzz.py).
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from functools import partial

from tests.faults.bench import Figure, Findings, Part, Row, Skipped
from tests.fuzz.target import HANGS_S, LIMITS_MB

HOUR_S = 3600
GRACE_S = 120
"""To start, to finish an input, and to write down: on busy cores Gradio alone takes a minute to load."""


def run(name: str, part: Part, findings: Findings) -> None:
    """part.count seconds of one target. Inputs that crashed it, or hung, are kept in the part's folder."""
    if importlib.util.find_spec("atheris") is None:
        raise Skipped("this needs atheris: `make fuzz` installs it, or pip install 'latchkey[fuzz]'")
    seed = part.random.randrange(2**32)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", name, str(part.count), str(seed), str(part.folder)],
        timeout=part.count + 10 * GRACE_S,
        check=False,
    )
    found = json.loads((part.folder / "found.json").read_text(encoding="utf-8"))
    findings.done += part.count
    findings.count("crashes", len(found["crashes"]) + (not found["ended"]))
    findings.count("hangs", len(found["hangs"]))
    findings.measure("peak", found["peak_mb"])
    findings.count("executions", found["executions"])
    findings.note("MB when it began", round(found["begun_mb"]))
    findings.wrong += [f"{place}: {said}" for kind in ("crashes", "hangs") for place, said in found[kind].items()]
    if not found["ended"]:
        findings.wrong.append(f"libFuzzer ended it (exit code {ended.returncode}); part.log and stuck-* say on what")


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
        part_limit_s=HOUR_S + 12 * GRACE_S,
        run=partial(run, name),
    )
    for name, limit_mb in LIMITS_MB.items()
)
