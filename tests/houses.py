"""Home Assistant itself for tests: its environment, and a run of it. The program that runs there is house.py.

The environment is made once, in the cache, from tests/homeassistant.txt (two minutes and half a gigabyte).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from firmware_config.assets import default_cache
from firmware_config.settings import BrokerSettings
from tests.waiting import until

NEEDED = (3, 13)
"""What the files of tests/homeassistant.txt are built for."""
REQUIREMENTS = Path(__file__).parent / "homeassistant.txt"
PROGRAM = Path(__file__).parent / "house.py"
RECONNECT_S = 30.0
"""Home Assistant itself looks for a lost broker every 10 s."""


def find_python() -> str:
    """Python 3.13, or: the test is skipped."""
    installed = sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python"))
    for candidate in (sys.executable, shutil.which("python3.13"), *map(str, installed)):
        asked = "import sys, venv, ensurepip; print(sys.version_info[:2])"
        if candidate is None:
            continue
        said = subprocess.run([candidate, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()
        if said == str(NEEDED):
            return candidate
    pytest.skip("this test needs Python 3.13 with venv, as Home Assistant does: apt-get install python3.13-venv")


def home_assistant_python() -> str:
    """A Python that has Home Assistant, from the cache or made now."""
    listed = sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = default_cache() / f"homeassistant-{listed}"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return str(python)
    found = find_python()
    shutil.rmtree(folder, ignore_errors=True)
    # Home Assistant 2026.2.3 asks for 3.13.2 and runs on 3.13.0; the index holds a wheel for each line of the list.
    made = subprocess.run([found, "-m", "venv", folder], capture_output=True, text=True, check=False)
    options = ["--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--ignore-requires-python"]
    if made.returncode == 0:
        install = [python, "-m", "pip", "install", *options, "-r", REQUIREMENTS]
        made = subprocess.run(install, capture_output=True, text=True, check=False)
    if made.returncode:
        sentence = f"Home Assistant could not be installed from the package index: {made.stderr.strip()[-500:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    (folder / "ready").touch()
    return str(python)


def entry_of(broker: BrokerSettings) -> dict[str, Any]:
    """What Home Assistant keeps of its dialogue about MQTT: the files' contents, uploaded there."""
    entry: dict[str, Any] = {"broker": broker.host, "port": broker.port}
    if broker.tls:
        assert broker.ca_file is not None
        assert broker.cert_file is not None
        assert broker.key_file is not None
        entry["certificate"] = broker.ca_file.read_text()
        entry["client_cert"] = broker.cert_file.read_text()
        entry["client_key"] = broker.key_file.read_text()
    return entry


class House:
    """One run of Home Assistant."""

    def __init__(self, python: str, folder: Path, broker: BrokerSettings) -> None:
        folder.mkdir(exist_ok=True)
        self.heard_before = 0
        self._log = (folder / "house.log").open("a")
        self._process = subprocess.Popen(
            [python, str(PROGRAM), str(folder), json.dumps(entry_of(broker))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        started = self._process.stdout.readline()
        assert started.startswith('["started"'), (folder / "house.log").read_text()

    def ask(self, *request: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def heard(self) -> list[list[str]]:
        """[event type, reason] of what automations of this test would have run on."""
        events: list[list[str]] = self.ask("heard")
        return events[self.heard_before :]

    def state(self, entity: str) -> str | None:
        found = self.ask("states").get(entity, {}).get("state")
        return found if found is None else str(found)

    def becomes(self, entity: str, state: str, timeout_s: float = RECONNECT_S) -> bool:
        return until(lambda: self.state(entity) == state, timeout_s=timeout_s, step_s=0.1)

    def stop(self) -> None:
        self._process.communicate('["stop"]\n', timeout=30)
        self._log.close()
