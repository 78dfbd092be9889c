"""A wall clock that jumps under a running process; the monotonic clock stays as it is."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import time
from itertools import pairwise
from pathlib import Path

SOURCE = Path(__file__).with_name("wall_clock.c")
SLACK_S = 0.05


def build_library(folder: Path) -> Path | None:
    """wall_clock.c as a shared library; None without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    out = folder / "wall_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(out), str(SOURCE), "-ldl"], check=True, timeout=60)
    return out


class WallClock:
    """Of one process. environment: what the process has to be started with."""

    def __init__(self, file: Path, library: Path | None) -> None:
        """library: of build_library; without it the clock cannot jump."""
        self._began = time.time() - time.monotonic()
        self._jumps: list[tuple[float, float]] = [(time.monotonic(), 0.0)]
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._offset = mmap.mmap(opened.fileno(), 8)
        self.environment: dict[str, str] = {}
        if library is not None:
            self.environment = {"LD_PRELOAD": str(library), "FAULTS_CLOCK": str(file)}

    def jump(self, offset_s: int) -> None:
        """From now on the process's wall clock is off by so many seconds."""
        self._offset[:] = struct.pack("=q", offset_s)
        self._jumps.append((time.monotonic(), float(offset_s)))

    def true_time(self, said: float) -> float:
        """A moment as the process told it, s since 1970 -> monotonic seconds of this machine.

        Between two jumps only one offset was in force: the right one puts the moment between them. Jumps longer than
        the process lives leave no doubt.
        """
        spans = pairwise([*self._jumps, (float("inf"), 0.0)])
        for (since, offset_s), (until, _) in spans:
            true = said - offset_s - self._began
            if since - SLACK_S <= true <= until + SLACK_S:
                return true
        return said - self._began
