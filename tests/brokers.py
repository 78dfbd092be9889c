"""A real Mosquitto on a free port, for tests. Import the fixture's maker: `from tests.brokers import Mosquitto`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import pytest

from firmware_config.settings import BrokerSettings

START_LIMIT_S = 10.0


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mosquitto_program() -> str:
    """The program, or: the test is skipped here and fails where CI=true, both with the package's name."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found:
        return found
    sentence = "this test needs Mosquitto: apt-get install mosquitto"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


class Mosquitto:
    """One broker in `folder`. stop() and start() again keep port and, with persistence, retained messages."""

    def __init__(self, folder: Path, *, persistence: bool = False) -> None:
        self.program = mosquitto_program()
        self.port = free_port()
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "max_inflight_messages 100"]
        if os.geteuid() == 0:
            lines.append("user root")  # the test folder belongs to root then; mosquitto would drop to its own user
        if persistence:
            lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
        self.config = folder / "mosquitto.conf"
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def settings(self) -> BrokerSettings:
        return BrokerSettings(url=f"mqtt://127.0.0.1:{self.port}")

    def start(self) -> None:
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([self.program, "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
            except OSError:
                assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
                time.sleep(0.02)
            else:
                return
        raise AssertionError("Mosquitto does not listen")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
