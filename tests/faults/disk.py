"""Row: the door's disk is full, read-only or forbidden while people come and go, or when the door starts.

The door's state folder is a small file system of its own (tmpfs, in a mount namespace of the part's). ADR 9 says what
must happen: members get in, health says so, nothing is half-written, and when the disk is back all is written. A list
of people that the office sends meanwhile must be in force soon after.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from admin_ui.store import find_door
from device.shelf import AUDIT_FOLDER
from firmware_config.messages import Health
from firmware_config.roster import open_roster, seal_roster
from tests.faults.bench import Figure, Findings, Part, Row, Skipped
from tests.faults.broker import WHOLE_SITE
from tests.faults.network import Loopback
from tests.faults.office import TOPICS
from tests.faults.power_door import KNOWN
from tests.faults.rig import START_LIMIT_S, Rig, tell
from tests.waiting import until

DEMO = "demo:?owners=31,32&strangers=5,6&photos=1&seed={seed}&approach=0.4&pause=0.7&leave=0.1&gap=1.2"
"""An owner every 4.8 s."""

CLONE_NEWNS = 0x20000
"""unshare(2)."""

SIZE = "4m"
SAID_S = 1.0
BACK_S = 5.0
LIMIT_S = 20.0
DISK_WORDS = ("records wait in memory", "cannot be written", "cannot be used")
"""Of device/journal.py and device/roster.py, in health."""


class SmallDisk(Loopback):
    """The door's state folder, and a door that may not do what its modes forbid, root or not."""

    def __init__(self, folder: Path) -> None:
        """Raises Skipped where there is no root, or no tool for it."""
        super().__init__()
        if os.geteuid() != 0:
            raise Skipped("a file system of its own needs root: run it with sudo")
        for program in ("mount", "umount", "setpriv"):
            if shutil.which(program) is None:
                raise Skipped(f"this needs {program}: apt-get install mount util-linux")
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
            raise Skipped(f"no mount namespace here: {os.strerror(ctypes.get_errno())}")
        self.folder = folder
        self._filler = folder / "filler"
        folder.mkdir(mode=0o700, parents=True)
        try:
            _run("mount", "--make-rprivate", "/")
            _run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder))
        except OSError as error:
            raise Skipped(f"no file system can be mounted here: {error}") from error

    def inside(self, party: str, command: list[str]) -> list[str]:
        if party != "door":
            return command
        return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def empty(self) -> None:
        self._filler.unlink()

    def cover(self) -> None:
        """Read-only for whoever opens a file from now on: a file system with open files cannot be made so at will."""
        _run("mount", "--bind", str(self.folder), str(self.folder))
        _run("mount", "-o", "remount,bind,ro", str(self.folder))

    def uncover(self) -> None:
        _run("umount", "--lazy", str(self.folder))

    def protect(self) -> None:
        """Read-only as a whole; nobody may have a file open for writing."""
        _run("mount", "-o", "remount,ro", str(self.folder))

    def unprotect(self) -> None:
        _run("mount", "-o", "remount,rw", str(self.folder))

    def forbid(self) -> None:
        self.folder.chmod(0)

    def permit(self) -> None:
        self.folder.chmod(0o700)

    def forbid_writing(self) -> None:
        """All can be read, as after a restore under another user."""
        for path in (self.folder, self.folder / AUDIT_FOLDER):
            path.chmod(0o500)
        for path in self.folder.rglob("*"):
            if path.is_file():
                path.chmod(0o400)

    def permit_writing(self) -> None:
        for path in (self.folder, self.folder / AUDIT_FOLDER):
            path.chmod(0o700)
        for path in self.folder.rglob("*"):
            if path.is_file():
                path.chmod(0o600)


Change = Callable[[], None]


def kinds(disk: SmallDisk) -> dict[str, tuple[Change, Change, bool]]:
    """Kind -> how it begins, how it ends, and whether the door is started on it."""
    return {
        "full": (disk.fill, disk.empty, False),
        "read-only": (disk.cover, disk.uncover, False),
        "permission lost": (disk.forbid, disk.permit, False),
        "started full": (disk.fill, disk.empty, True),
        "started read-only": (disk.protect, disk.unprotect, True),
        "started without permission to write": (disk.forbid_writing, disk.permit_writing, True),
    }


def run(part: Part, findings: Findings) -> None:
    """One site, its door's disk hurt part.count times."""
    draw = part.random
    disk = SmallDisk(part.folder / "state")
    with Rig(part.folder, disk, DEMO.format(seed=draw.randrange(10_000)), tls=False) as rig:
        assert until(lambda: rig.lock.openings, LIMIT_S), f"nobody came in at the start: {rig.door.last_words()}"
        hurts = kinds(disk)
        # One part goes on where the one before ends, so that few faults are of all kinds too.
        first = part.index * part.count
        order = [list(hurts)[(first + number) % len(hurts)] for number in range(part.count)]
        draw.shuffle(order)
        for number, kind in enumerate(order):
            begin, end, anew = hurts[kind]
            hurt(rig, kind, begin, end, anew, draw, findings)
            print(f"{time.monotonic():.3f} {number} {kind}", flush=True)
            findings.done += 1
            findings.note(kind, 1)
        tell(rig.settle(), findings)
        half = sorted(name for name in _names(disk.folder) if name not in KNOWN)
        findings.count("half", len(half))
        findings.wrong += [f"{name} was left half-written" for name in half]
        if findings.wrong:
            # The file system ends with this process.
            shutil.copytree(disk.folder, part.folder / "state-as-left")


def hurt(rig: Rig, kind: str, begin: Change, end: Change, anew: bool, draw: random.Random, findings: Findings) -> None:
    """One fault, from its beginning until the door is well again."""
    if anew:
        findings.count("unclean", rig.door.stop() != 0)
    begin()
    begun = time.monotonic()
    if anew:
        rig.start_door()
        up = rig.back_within(begun, START_LIMIT_S)
        assert max(up.values()) < START_LIMIT_S, f"{kind}: the door did not start: {rig.door.last_words()}"
    at_work = time.monotonic()
    generation = change_people(rig)
    opened = until(lambda: any(at > begun for at in rig.lock.openings), LIMIT_S)
    findings.count("shut", not opened)
    if not opened:
        findings.wrong.append(f"{kind}: nobody was let in within {LIMIT_S:.0f} s; {rig.door.last_words()}")
    said = until(lambda: problems_since(rig, begun), LIMIT_S)
    first = min(problems_since(rig, begun), default=time.monotonic() + LIMIT_S)
    findings.measure("said", max(0.0, first - first_event(rig, at_work)))
    time.sleep(draw.uniform(0.0, 3.0))
    end()
    ended = time.monotonic()
    well = until(lambda: well_since(rig, ended, generation), LIMIT_S)
    took = time.monotonic() - ended if well else LIMIT_S
    findings.measure("back", took)
    if took > BACK_S or not said:
        told = rig.probe.healths[-1][1]
        findings.wrong.append(
            f"{kind}: said {said}, well {took:.1f} s after its end; list {told.generation} of {generation}, "
            f"problems {told.problems}"
        )


def change_people(rig: Rig) -> int:
    """A list with the same people and another number goes to the door -> the number."""
    office, keys = rig.office, rig.office.keys
    with office._store.write() as session:
        row = find_door(session, TOPICS.door)
        roster = open_roster(row.roster, TOPICS, office.keyring.site.public, keys.door)
        row.generation += 1
        row.roster = seal_roster(
            roster.model_copy(update={"generation": row.generation}), office.keyring.site, keys.door
        )
        generation: int = row.generation
    office.desk.send([TOPICS.door])
    return generation


def first_event(rig: Rig, since: float) -> float:
    """When there was something to be recorded after that moment, and the disk could be noticed at all."""
    times = [rig.clock.true_time(event.at.timestamp()) for _, event in list(rig.probe.events)]
    return min((at for at in times if at > since), default=time.monotonic())


def problems_since(rig: Rig, since: float) -> list[float]:
    """When health has said something of the disk after that moment."""
    return [at for at, health in list(rig.probe.healths) if at > since and _of_disk(health)]


def well_since(rig: Rig, since: float, generation: int) -> bool:
    """Whether the newest health after that moment has nothing to say of the disk, and the newest list is in force."""
    healths = [health for at, health in list(rig.probe.healths) if at > since][-1:]
    return any(health.generation == generation and not _of_disk(health) for health in healths)


def _of_disk(health: Health) -> bool:
    return any(word in said for said in health.problems for word in DISK_WORDS)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} | {
        path.name for path in (folder / AUDIT_FOLDER).iterdir() if path.name.startswith(".")
    }


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


ROW = Row(
    name="disk",
    title="Disk full, read-only, permission lost, at work and at the start, while people come and go",
    unit="faults",
    figures=(
        Figure("shut", "faults in which no owner was let in", at_most=0),
        Figure("said", "said in health after the first event", at_most=SAID_S, worst=True, unit=" s"),
        Figure("half", "files left half-written", at_most=0),
        Figure("back", "all written, and the newest list in force, after", at_most=BACK_S, worst=True, unit=" s"),
        *WHOLE_SITE,
        Figure("openings", "owners let in", at_least=1),
    ),
    short=6,
    long=50,
    part_size=17,
    part_limit_s=900,
    short_part_size=2,
    run=run,
)
