"""What a process did to the files of one folder, call by call; and its end at one of these calls. See power_shim.c."""

from __future__ import annotations

import enum
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bench import Skipped

SOURCE = Path(__file__).with_name("power_shim.c")
HEADER = struct.Struct("=IIIIQQ")
LIMIT_S = 300.0


class What(enum.IntEnum):
    """As in power_shim.c."""

    CREATE = 1
    MKDIR = 2
    WRITE = 3
    TRUNCATE = 4
    SYNC = 5
    RENAME = 6
    UNLINK = 7
    UNFOLLOWED = 8


@dataclass(frozen=True)
class Call:
    """One change. path, other: below the watched folder. offset: of a write; of a truncation the size."""

    what: What
    path: Path
    other: Path
    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Recording:
    """calls: what was done, in order. killed: by the shim. words: what the process said."""

    calls: list[Call]
    killed: bool
    words: str


def build_shim(folder: Path) -> Path:
    """power_shim.c as a library. Raises Skipped without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Skipped("this needs a C compiler: apt-get install gcc libc6-dev")
    out = folder / "power_shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(out), str(SOURCE), "-ldl"], check=True, timeout=60)
    return out


def record(shim: Path, watched: Path, module: str, arguments: Sequence[str], kill_at: int = 0) -> Recording:
    """Run `python -m module arguments`; what it changes below `watched` is recorded.

    kill_at: SIGKILL in place of this change, counted from 1; 0: none. Raises AssertionError when it fails by itself.
    """
    log = watched.with_suffix(".log")
    log.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "POWER_FOLDER": str(watched.resolve()),
        "POWER_LOG": str(log),
        "POWER_KILL_AT": str(kill_at),
        "OMP_NUM_THREADS": "1",
    }
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    words = ended.stdout + ended.stderr
    assert ended.returncode in (0, -signal.SIGKILL), f"{module} ended with {ended.returncode}:\n{words[-3000:]}"
    return Recording(read_log(log, watched.resolve()), ended.returncode != 0, words)


def read_log(log: Path, watched: Path) -> list[Call]:
    """Raises AssertionError for a call that power_disk.py cannot play."""
    data, at, calls = log.read_bytes() if log.exists() else b"", 0, []
    while at < len(data):
        what, path_bytes, other_bytes, data_bytes, inode, offset = HEADER.unpack_from(data, at)
        at += HEADER.size
        parts = []
        for size in (path_bytes, other_bytes, data_bytes):
            parts.append(data[at : at + size])
            at += size
        path, other = os.fsdecode(parts[0]), os.fsdecode(parts[1])
        assert what != What.UNFOLLOWED, f"{path} was changed by a call that the bench does not follow: {other}"
        inside = Path(other).relative_to(watched) if other else Path()
        # The kernel says so of a file without a name, to which somebody still writes.
        relative = Path(path.removesuffix(" (deleted)")).relative_to(watched)
        calls.append(Call(What(what), relative, inside, inode, offset, parts[2]))
    return calls
