"""One target, led by coverage, for so many seconds of the processor:
`python -m tests.fuzz.guided NAME SECONDS SEED FOLDER`.

atheris (libFuzzer) chooses what is kept and changed; half of the changes are mutate.py's. A crash or a hang does not
end it: its input is kept in FOLDER, one for each place in the code, and FOLDER/found.json counts.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["firmware_config", "device", "admin_ui", "trainer", "PIL", "zipfile"]):
    from tests.fuzz.mutate import MAX_BYTES, mutated
    from tests.fuzz.sittings import Found, sit_down
    from tests.fuzz.target import Crash, Eat, Hang, Watched
    from tests.fuzz.targets import TARGETS

OURS = str(Path(__file__).parents[2])
STUCK_S = 60
"""Seconds by the wall's clock after which libFuzzer itself ends an input that does not return."""
NO_DISK = Path("/dev/shm")
"""Where a target works, if it is there: waiting for what is synced is what targets of a disk do most."""
RUNAWAY_MB = 4096
"""Resident memory at which libFuzzer ends the process; the target's own limit is judged by the peak."""


def resident_mb() -> float:
    """The most that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def place_of(error: BaseException) -> str:
    """Kind of error and the line of ours that it came from: one defect is told once."""
    cause = error.__cause__ or error
    ours = [
        frame
        for frame in traceback.extract_tb(cause.__traceback__)
        if frame.filename.startswith(OURS) and "/tests/" not in frame.filename
    ]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    return f"{type(cause).__name__} at {where}"


class Session:
    """Counts, keeps, and knows when it is time: by the processor's clock, so that other work on the machine, or a
    process that was stopped for a while, does not count as fuzzing."""

    def __init__(self, watched: Watched, seconds: float, folder: Path, found: Found) -> None:
        self._watched, self._folder = watched, folder
        self._told_at = time.process_time()
        self._until = self._told_at + seconds
        self.found = found

    def one_input(self, data: bytes) -> None:
        """For atheris."""
        now = time.process_time()
        if now > self._until:
            self.found.ended = True
            self.tell()
            sys.stdout.flush()
            os._exit(0)  # libFuzzer has no other way out that says nothing
        self.found.executions += 1
        try:
            self._watched(data)
        except Crash as crash:
            self._keep(self.found.crashes, place_of(crash), str(crash), data)
        except Hang as hang:
            # Where it hung is not known; what it hung on is kept, a few times.
            self._keep(self.found.hangs, f"input {min(len(self.found.hangs), 9)}", str(hang), data)
        if now - self._told_at > 1:
            self.tell()

    def tell(self) -> None:
        """To found.json, whatever happens next."""
        now = time.process_time()
        self.found.seconds, self._told_at = self.found.seconds + now - self._told_at, now
        self.found.peak_mb = max(self.found.peak_mb, resident_mb())
        self.found.save(self._folder)

    def _keep(self, kind: dict[str, str], place: str, said: str, data: bytes) -> None:
        if place not in kind:
            name = f"input-{sha256(data).hexdigest()[:16]}"
            (self._folder / name).write_bytes(data)
            kind[place] = f"{said} ({name})"
            self.tell()


def mutator(data: bytes, max_size: int, seed: int) -> bytes:
    """For atheris: a change of ours, or one of libFuzzer's own."""
    draw = random.Random(seed)
    if draw.random() < 0.5:
        return mutated(data, draw)[:max_size]
    changed: bytes = atheris.Mutate(data, max_size)
    return changed


def main(name: str, seconds: str, seed: str, place: str) -> None:
    """Does not return."""
    target, folder = TARGETS[name], Path(place)
    found = sit_down(folder, target.seeds(), resident_mb())
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=NO_DISK if NO_DISK.is_dir() else None)))
        eat: Eat = stack.enter_context(target.opened(work))
        session = Session(stack.enter_context(Watched(eat)), float(seconds), folder, found)
        options = [f"-seed={int(seed) % 2**32}", f"-max_len={MAX_BYTES}", f"-timeout={STUCK_S}", "-verbosity=0"]
        options += [f"-rss_limit_mb={RUNAWAY_MB}", f"-artifact_prefix={folder}/stuck-", str(folder / "corpus")]
        atheris.Setup(["fuzz", *options], session.one_input, custom_mutator=mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:5])
