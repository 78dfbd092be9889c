"""Row: the power goes during enrol, erase, audit, roster swap and model swap, on a disk that loses what was not synced.

A part has two sites, a door and an office, which work in processes of their own under power_shim.c. Each is killed with
SIGKILL at a call drawn by chance; what it had changed up to there, or up to an earlier call, is played to a disk that
loses unsynced writes and names (power_disk.py); then the real program is started on what is left. The next work begins
on one of these states, before or after that start: so a recovery is cut as well.
"""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.faults.bench import Figure, Findings, Part, Row
from tests.faults.power_disk import Disk
from tests.faults.power_door import DoorSite
from tests.faults.power_log import Recording, build_shim, record
from tests.faults.power_office import OfficeSite
from tests.faults.power_verdict import Verdict

READY_WITHIN_S = 15.0
CUTS_A_RECORDING = 5
LAST_CALL = 250
"""SIGKILL at most here; work that ends before runs to its end, and is cut afterwards where it was."""


class Site(Protocol):
    """DoorSite or OfficeSite."""

    @property
    def name(self) -> str: ...

    @property
    def writer(self) -> str: ...

    @property
    def disk(self) -> Path: ...

    def arguments(self, draw: random.Random) -> list[str]: ...

    def look(self) -> Verdict: ...


def run(part: Part, findings: Findings) -> None:
    """part.count power cuts, the two sites by turns."""
    draw = part.random
    shim = build_shim(part.folder)
    sites: list[Site] = [DoorSite(part.folder / "door"), OfficeSite(part.folder / "office")]
    turn = part.index
    while findings.done < part.count:
        site = sites[turn % len(sites)]
        turn += 1
        cuts = min(CUTS_A_RECORDING, part.count - findings.done)
        cut_off(site, shim, draw, cuts, findings)
        if findings.wrong:
            return


def cut_off(
    site: Site,
    shim: Path,
    draw: random.Random,
    cuts: int,
    findings: Findings,
    make_disk: Callable[[Path], Disk] = Disk,
) -> None:
    """Let it work once, and look at `cuts` states that a power cut may leave. The last one stays on its disk.

    make_disk: worse disks, for the controls."""
    begin = make_disk(site.disk)
    recording = record(shim, site.disk, site.writer, site.arguments(draw), draw.randint(1, LAST_CALL))
    findings.count("killed", recording.killed)
    findings.note("calls", len(recording.calls))
    check_model(begin, recording, site.disk)
    for number in range(cuts):
        at = len(recording.calls) if number == 0 else draw.randint(0, len(recording.calls))
        disk = copy.deepcopy(begin)
        disk.play(recording.calls[:at])
        if number:
            disk.lose_power(draw, site.disk)
        left = site.disk.with_name("left")
        shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(site.disk, left)
        verdict = site.look()
        findings.done += 1
        findings.note(f"cuts of the {site.name}", 1)
        findings.note("audits that were pruned", verdict.pruned)
        count(findings, verdict, f"{site.name}, cut at call {at} of {len(recording.calls)}")
        if verdict.sentences:
            return
    if draw.random() < 0.5:
        shutil.rmtree(site.disk)
        left.rename(site.disk)


def check_model(begin: Disk, recording: Recording, disk: Path) -> None:
    """The calls, played without any loss, give what is there: the shim has seen them all. Raises AssertionError."""
    played = disk.with_name("played")
    whole = copy.deepcopy(begin)
    whole.play(recording.calls)
    whole.lose_nothing(played)
    there, made = files(disk), files(played)
    differ = sorted(name for name in there.keys() | made.keys() if there.get(name) != made.get(name))
    assert not differ, f"the shim has missed a call: {', '.join(differ)} differ"


def files(folder: Path) -> dict[str, bytes]:
    """Name -> content, without SQLite's -shm."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def count(findings: Findings, verdict: Verdict, where: str) -> None:
    findings.count("corrupt", len(verdict.corrupt))
    findings.count("resurrected", len(verdict.resurrected))
    findings.count("lost", len(verdict.lost))
    findings.count("told", verdict.told)
    if verdict.ready_s is not None:
        findings.measure("ready", verdict.ready_s)
    findings.wrong += [f"{where}: {sentence}" for sentence in verdict.sentences]


ROW = Row(
    name="power",
    title="Power cut during enrol, erase, audit, roster swap, model swap, on a disk that loses unsynced writes",
    unit="power cuts",
    figures=(
        Figure("corrupt", "corrupt or half", at_most=0),
        Figure("resurrected", "erased and back", at_most=0),
        Figure("lost", "told and lost", at_most=0),
        Figure("ready", "ready after", at_most=READY_WITHIN_S, worst=True, unit=" s"),
        Figure("killed", "processes killed at work", at_least=1),
        Figure("told", "words kept", at_least=1),
    ),
    short=25,
    long=500,
    part_size=25,
    part_limit_s=1800,
    short_part_size=7,
    run=run,
)
