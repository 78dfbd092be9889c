"""A program is started as systemd would, until it says that it is ready, or until it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

READY = b"READY=1"
GIVE_UP_S = 240.0
"""By the clock: a busy machine lets a start wait for long, and that is not counted."""

POLL_S = 0.05


@dataclass(frozen=True)
class Started:
    """ready_s: without the time that it waited for a processor; None when it never was. code: None, it was killed.
    words: what it said."""

    ready_s: float | None
    code: int | None
    words: str


def start(command: Sequence[str], folder: Path, *, serves: bool = True) -> Started:
    """serves: it says when it is ready, and is then asked to stop; otherwise it is ready when it has ended well.

    folder: for the log."""
    # An abstract address: a path's length is limited to a hundred characters.
    address = f"\0latchkey-power-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said, (folder / "start.log").open("w+b") as log:
        said.bind(address)
        said.settimeout(POLL_S)
        environment = {**os.environ, "NOTIFY_SOCKET": "@" + address[1:], "OMP_NUM_THREADS": "1"}
        begun = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        waited = took = 0.0
        ready = False
        try:
            while not ready and process.poll() is None and took < GIVE_UP_S:
                waited = _waited_s(process.pid) or waited
                with suppress(TimeoutError):
                    ready = READY in said.recv(4096)
                took = time.monotonic() - begun
            if serves or took >= GIVE_UP_S:
                process.send_signal(signal.SIGTERM)
            code: int | None = process.wait(GIVE_UP_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        well = ready if serves else code == 0
        return Started(max(0.0, took - waited) if well else None, code, log.read().decode(errors="replace"))


def _waited_s(pid: int) -> float | None:
    """How long its first thread was ready to run and had no processor (the kernel's sched-stats)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None
