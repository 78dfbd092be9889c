"""The programs of the demo: started one by one, watched, and ended in the reverse order."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from firmware_config.errors import BadState

STOP_S: Final = 8.0
"""How long a program may take to end by itself; the daemon promises 2 s, the page closes its sockets first."""

LAST_LINES: Final = 15
"""Lines of a program's log that are shown when it has failed."""

LOOPBACK: Final = "127.0.0.1"


def own_program(name: str) -> str:
    """A console script of the environment that this interpreter runs in, or of PATH. Raises BadState."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise BadState(f"There is no {name} beside {sys.executable}. Install Latchkey with the extra 'demo'.")
    return found


def free_port(wanted: int = 0) -> int:
    """`wanted` when nobody listens there, otherwise a port of 127.0.0.1 that is free now."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As the servers themselves do: a port that only waits out its last connection counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise BadState("This machine has no free TCP port left on 127.0.0.1.")


def next_free_port(first: int, tries: int = 50) -> int:
    """`first`, or the nearest port above it that nobody listens on. Raises BadState."""
    for port in range(first, min(first + tries, 65536)):
        if free_port(port) == port:
            return port
    raise BadState(f"All ports from {first} on are taken. Name another: --port NUMBER.")


def listens(port: int) -> bool:
    """True when somebody accepts connections on 127.0.0.1 at this port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.3).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Running:
    """One program. `log`: the file that its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


class Processes:
    """A context: whatever it has started is gone when it is left."""

    def __init__(self, logs: Path) -> None:
        """logs: a folder for one log file a program."""
        self._logs = logs
        # Gradio and pip leave things in the folder for temporary files; this one goes with the demo.
        self._temporary = logs / "tmp"
        self._running: list[Running] = []

    def __enter__(self) -> Processes:
        self._temporary.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._running:
            _end(self._running.pop().process)

    def start(self, name: str, command: Sequence[str]) -> Running:
        """Start a program that runs until the demo ends. Raises OSError."""
        log = self._logs / f"{name}.log"
        with log.open("ab") as stream:
            # A session of its own: Ctrl-C at the terminal must reach the demo alone, which then ends the rest in order.
            process = subprocess.Popen(  # noqa: S603 - our own programs, arguments made here
                [sys.executable, "-m", "admin_ui.demo.leash", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment(),
            )
        running = Running(name, process, log)
        self._running.append(running)
        return running

    def run(self, name: str, command: Sequence[str], timeout_s: float) -> str:
        """Run a program to its end -> what it printed. Raises BadState with its last words when it fails."""
        done = subprocess.run(  # noqa: S603 - our own programs, arguments made here
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=self._environment(),
        )
        if done.returncode != 0:
            raise BadState(f"{name} failed (exit code {done.returncode}):\n{done.stdout}{done.stderr}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        quiet = {"ORT_DISABLE_TELEMETRY": "1", "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
        return {**os.environ, **quiet, "PYTHONUNBUFFERED": "1", "TMPDIR": str(self._temporary)}

    def check(self) -> None:
        """Raises BadState when one of the programs has ended by itself."""
        for running in self._running:
            code = running.process.poll()
            if code is not None:
                raise BadState(
                    f"The {running.name} has ended (exit code {code}). Its last words:\n{running.last_lines()}"
                )

    def wait_for(self, what: str, ready: Callable[[], bool], timeout_s: float) -> None:
        """Until `ready` says True. Raises BadState when a program ends or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                words = "".join(f"\n{running.name}: {running.last_lines()}" for running in self._running)
                raise BadState(f"{what} did not come up within {timeout_s:.0f} s. What the programs said last:{words}")
            time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            # It was asked kindly; nothing of the demo may stay behind.
            process.kill()
            process.wait()
