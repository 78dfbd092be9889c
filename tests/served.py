"""`latchkey-admin` as an administrator runs it: each command a process of its own, `serve` until it is told to stop."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from tests.brokers import free_port
from tests.page_server import PASSWORD, ROOT, START_LIMIT_S, STOP_LIMIT_S
from tests.waiting import until

OTHERS_HOST = "127.0.0.2"
"""Of this machine, and not the address by which a page is this machine's alone."""
COMMAND = [sys.executable, "-m", "admin_ui.cli"]
COMMAND_LIMIT_S = 120


def latchkey_admin(settings: Path, *words: str) -> str:
    """Run one command to its end -> what it said. It must succeed."""
    done = subprocess.run(
        [*COMMAND, *words, "--settings", str(settings)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Served:
    """`latchkey-admin serve`. url: where it is to answer; ca: whom to trust for its certificate."""

    def __init__(self, settings: Path, url: str, ca: Path | None = None) -> None:
        self.settings = settings
        self.url = url
        self.log = settings.with_suffix(".log")
        self.ca = ca
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it without waiting: several start at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "serve", "--settings", str(self.settings)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"},
            )

    def wait(self) -> None:
        process = self._process
        assert process is not None
        assert until(lambda: self._answers() or process.poll() is not None, START_LIMIT_S, 0.1), self.log.read_text()
        assert process.poll() is None, self.log.read_text()

    def start(self) -> None:
        self.begin()
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            process.wait(STOP_LIMIT_S)

    def kill(self) -> None:
        """As `kill -9` does."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait(STOP_LIMIT_S)

    def client(self) -> httpx.Client:
        """Of a browser that trusts `ca` alone."""
        trusting = ssl.create_default_context(cafile=self.ca) if self.ca else True
        return httpx.Client(base_url=self.url, verify=trusting, timeout=30)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/healthz").status_code == 200
        except (httpx.TransportError, OSError):
            return False


def found_for_others(folder: Path) -> Served:
    """A fresh site whose page listens for other machines: settings, then `init`. Its account has PASSWORD."""
    path, state, port = folder / "admin.toml", folder / "state", free_port()
    path.write_text(
        f'site = "home"\nstate = "{state}"\n[page]\nhost = "{OTHERS_HOST}"\nport = {port}\n'
        f'[broker]\nurl = "mqtt://127.0.0.1:{free_port()}"\n',
        encoding="utf-8",
    )
    password = folder / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    latchkey_admin(path, "init", "--password-file", str(password))
    return Served(path, f"https://{OTHERS_HOST}:{port}", ca=state / "keys" / "web" / "page.crt")
