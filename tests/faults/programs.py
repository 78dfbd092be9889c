"""Broker, door and lock as processes, each at its place on the network, with what they say and when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.brokers import mosquitto_program
from tests.faults.network import BROKER, Network
from tests.waiting import until

RELAY_OPENS = "The lock opens."
"""What the simulated relay prints (device/relay.py)."""


class Broker:
    """Mosquitto that may be killed. It comes back with what it had saved."""

    def __init__(self, folder: Path, network: Network, certificates: Path | None) -> None:
        """certificates: a folder with ca.crt, server.crt, server.key; None: without TLS."""
        folder.mkdir(parents=True, exist_ok=True)
        listener = f"listener {network.port}" + ("" if certificates else " 127.0.0.1")
        lines = [listener, "allow_anonymous true", "max_inflight_messages 100", "set_tcp_nodelay true"]
        lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
        if os.geteuid() == 0:
            lines.append("user root")
        if certificates is not None:
            lines += [f"certfile {certificates / 'server.crt'}", f"keyfile {certificates / 'server.key'}"]
            lines.append("tls_version tlsv1.3")
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._command = network.inside(BROKER, [mosquitto_program(), "-c", str(config)])
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it listens: the log says so before any client can."""
        begun = self._opened()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        assert until(lambda: self._opened() > begun, 10, 0.01), self._log.read_text(encoding="utf-8")[-2000:]

    def end(self, number: int = signal.SIGKILL) -> None:
        """Killed, or asked to stop."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None

    def _opened(self) -> int:
        return self._log.read_text(encoding="utf-8").count(" running") if self._log.exists() else 0


class Program:
    """latchkey-device as a process. `openings`: when its relay let go, monotonic seconds."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log = log
        self.openings: list[float] = []
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1", **environment},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self, limit_s: float = 10.0) -> int | None:
        """Asked kindly -> its exit code; None: it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code: int | None = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        self._reader.join(5)
        return code

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.log.open("ab") as log:
            for line in self.process.stdout:
                at = time.monotonic()
                if RELAY_OPENS.encode() in line:
                    self.openings.append(at)
                log.write(f"{at:.3f} ".encode() + line)
                log.flush()


def device_command(*arguments: str) -> list[str]:
    """`latchkey-device` of this very tree."""
    return [sys.executable, "-m", "device", *arguments]
