"""Runs parts as processes of their own, several at once, and adds up what they found."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import zip_longest
from pathlib import Path

from tests.faults.bench import Findings, Part, Row, Skipped
from tests.faults.rows import all_rows

RESULT = "findings.json"
LOG = "part.log"


def replay_words(part: Part, count: int) -> str:
    """How to run this very part again. count: of the whole row, which says where its parts begin."""
    short = " --short" if part.short else ""
    return f'make faults ARGS="--only {part.row} --seed {part.seed} --part {part.index} --count {count}{short}"'


def run_here(part: Part) -> Findings:
    """A part in this process. Whatever it raises becomes a sentence."""
    findings = Findings()
    begun = time.monotonic()
    try:
        all_rows()[part.row].run(part, findings)
    except Skipped as skipped:
        findings.leave_out("all of it", str(skipped))
    except Exception as error:  # noqa: BLE001 - a broken part is a finding, not the end of the bench
        traceback.print_exc()
        findings.wrong.append(f"the part broke off with {type(error).__name__}: {error}")
    findings.took_s = time.monotonic() - begun
    return findings


def main_of_part(text: str) -> int:
    """`python -m tests.faults --run-part JSON`: for the bench itself."""
    facts = json.loads(text)
    part = Part(**{**facts, "folder": Path(facts["folder"])})
    findings = run_here(part)
    (part.folder / RESULT).write_text(json.dumps(dataclasses.asdict(findings)), encoding="utf-8")
    sys.stdout.flush()
    # Threads of a half-dead rig must not keep a part that has told all it knows.
    os._exit(0)


def run_in_process(part: Part, limit_s: float) -> Findings:
    """A part in a process of its own, which is killed with all its children when it takes too long."""
    shutil.rmtree(part.folder, ignore_errors=True)
    part.folder.mkdir(parents=True)
    facts = {**dataclasses.asdict(part), "folder": str(part.folder)}
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}
    with (part.folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults", "--run-part", json.dumps(facts)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment,
        )
        try:
            process.wait(limit_s)
            hung = ""
        except subprocess.TimeoutExpired:
            hung = f"the part did not end within {limit_s:.0f} s"
        finally:
            # The whole session: what a part has started ends with it, also when the bench itself is told to stop.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    result = part.folder / RESULT
    findings = Findings()
    if result.exists():
        findings = Findings(**json.loads(result.read_text(encoding="utf-8")))
    elif not hung:
        hung = f"the part died without a word (exit code {process.returncode})"
    if hung:
        findings.wrong.append(hung)
    return findings


def run_parts(
    rows: dict[str, Row],
    parts: dict[str, list[Part]],
    counts: dict[str, int],
    jobs: int,
    until: float,
    keep_all: bool,
    done: Callable[[str, Findings, float], None],
) -> None:
    """All parts, `jobs` at once, the rows by turns; none is begun after `until` (monotonic seconds).

    counts: row -> faults of the whole row, for replaying. done: told each row, what it found and how long it took,
    as soon as its last part has ended.
    """
    totals = {name: Findings() for name in parts}
    left = {name: len(listed) for name, listed in parts.items()}
    begun = time.monotonic()
    turns = [part for turn in zip_longest(*parts.values()) for part in turn if part is not None]

    def one(part: Part) -> tuple[Part, Findings]:
        if time.monotonic() > until:
            return part, Findings()
        found = run_in_process(part, rows[part.row].part_limit_s)
        again = replay_words(part, counts[part.row])
        found.wrong = [f"{sentence}  [{again}; its files: {part.folder}]" for sentence in found.wrong]
        if not found.wrong and not keep_all:
            shutil.rmtree(part.folder, ignore_errors=True)
        return part, found

    with ThreadPoolExecutor(jobs) as pool:
        for ended in as_completed([pool.submit(one, part) for part in turns]):
            part, found = ended.result()
            totals[part.row].add(found)
            if len(parts[part.row]) > 1 and found.took_s:
                state = "; ".join(found.wrong) or "well"
                print(f"         {part.row} part {part.index}: {found.done} {rows[part.row].unit}, {state}", flush=True)
            left[part.row] -= 1
            if not left[part.row]:
                done(part.row, totals[part.row], time.monotonic() - begun)
