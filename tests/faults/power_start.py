"""A program is started as systemd would, and asked to stop as soon as it says that it is ready."""

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
GIVE_UP_S = 30.0
POLL_S = 0.05


@dataclass(frozen=True)
class Started:
    """ready_s: None when it never was. code: of its end. words: what it said."""

    ready_s: float | None
    code: int | None
    words: str


def start(command: Sequence[str], folder: Path) -> Started:
    """folder: for the socket, whose name may have a hundred characters, and the log."""
    address = f"\0latchkey-power-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said, (folder / "start.log").open("w+b") as log:
        said.bind(address)
        said.settimeout(POLL_S)
        begun = time.monotonic()
        environment = {**os.environ, "NOTIFY_SOCKET": "@" + address[1:], "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            ready = None
            while ready is None and process.poll() is None and time.monotonic() - begun < GIVE_UP_S:
                with suppress(TimeoutError):
                    if READY in said.recv(4096):
                        ready = time.monotonic() - begun
            process.send_signal(signal.SIGTERM)
            code: int | None = process.wait(GIVE_UP_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        return Started(ready, code, log.read().decode(errors="replace"))
