"""The page in a process of its own, as it runs in a building: `python -m tests.page_server admin.toml BUNDLE`."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from admin_ui.founding import found
from firmware_config.settings import AdminSettings
from tests.brokers import free_port
from tests.waiting import until

ACCOUNT = "admin"
PASSWORD = "correct horse battery"
START_LIMIT_S = 180.0
"""Gradio imports in three seconds on an idle desk, in a minute on two cores that also train."""
STOP_LIMIT_S = 90.0
"""As long as systemd waits before it kills: an interpreter that is starved takes half a minute to take itself down."""
ROOT = Path(__file__).parent.parent


class PageServer:
    """A founded site and its page. bundle: what the site starts with; None: the one that comes with the package."""

    def __init__(self, folder: Path, bundle: Path | None = None, broker_url: str = "") -> None:
        self.path = folder / "admin.toml"
        self.port = free_port()
        self.log = folder / "page.log"
        self.bundle = bundle
        self.settings: AdminSettings = found(
            self.path,
            "home",
            state=folder / "state",
            broker_url=broker_url or f"mqtt://127.0.0.1:{free_port()}",
            port=self.port,
            password=PASSWORD,
        ).settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.page_server", str(self.path), str(self.bundle or "")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"}
            )
        process = self._process
        assert until(lambda: self._answers() or process.poll() is not None, START_LIMIT_S, 0.1), self.log.read_text()
        assert process.poll() is None, self.log.read_text()

    def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                # Where it hangs stands in its log.
                process.send_signal(signal.SIGUSR1)
                time.sleep(1)
                process.kill()
                process.wait()
                raise AssertionError(f"the page does not stop: {self.log.read_text()}") from None

    def kill(self) -> None:
        """As a power cut does: nothing is finished."""
        assert self._process is not None
        process, self._process = self._process, None
        process.kill()
        process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1).status_code == 200
        except httpx.TransportError:
            return False

    def log_in(self, client: httpx.Client, password: str = PASSWORD, **more: dict[str, str]) -> httpx.Response:
        """Post the form; wait where a test before this one has guessed."""
        while True:
            answer = client.post("/login", data={"account": ACCOUNT, "password": password}, **more)  # type: ignore[arg-type]
            if answer.status_code != 429:
                return answer
            time.sleep(float(answer.headers["retry-after"]))


def main(settings_path: str, bundle: str) -> int:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    from admin_ui.service import Office
    from admin_ui.serving import serve
    from firmware_config.settings import load_admin

    return serve(Office(load_admin(Path(settings_path)), default_bundle=Path(bundle) if bundle else None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
