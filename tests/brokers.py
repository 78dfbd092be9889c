"""A real Mosquitto on a free port, for tests. Import the fixture's maker: `from tests.brokers import Mosquitto`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import pytest

from admin_ui.authority import CERTIFICATE_LASTS, Authority, Role
from admin_ui.brokerage import BrokerPlace, refresh_broker, write_broker
from firmware_config.broker import Connection
from firmware_config.settings import BrokerSettings
from tests.waiting import until

START_LIMIT_S = 10.0
RELOADING = b"Reloading config"
"""What Mosquitto logs at SIGHUP."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mosquitto_program() -> str:
    """The program, or: the test is skipped here and fails where CI=true, both with the package's name."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if not found:
        missing("this test needs Mosquitto: apt-get install mosquitto")
    return found


def missing(sentence: str) -> NoReturn:
    """Skips for a user, fails in CI."""
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
        lines.append("set_tcp_nodelay true")
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


class DeafeningMosquitto(Mosquitto):
    """A broker whose access list lets nobody hear any topic but `heard`, and says so when it is asked."""

    def __init__(self, folder: Path, heard: str) -> None:
        super().__init__(folder)
        plugins = sorted(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
        if not plugins:
            missing("this test needs Mosquitto's dynamic security: apt-get install mosquitto")
        access = {
            "defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True, "subscribe": False},
            "roles": [
                {"rolename": "guest", "acls": [{"acltype": "subscribeLiteral", "topic": heard, "allow": True}]},
            ],
            "groups": [{"groupname": "guests", "roles": [{"rolename": "guest"}]}],
            "anonymousGroup": "guests",
        }
        (folder / "access.json").write_text(json.dumps(access), encoding="utf-8")
        with self.config.open("a", encoding="utf-8") as config:
            config.write(f"plugin {plugins[0]}\nplugin_opt_config_file {folder / 'access.json'}\n")


class TlsMosquitto(Mosquitto):
    """A site's broker as `latchkey-admin broker write` sets it up: TLS 1.3, client certificates, ACL, revocation.

    client() makes certificates for whoever is to connect; revoke() takes them back and has the broker reload.
    """

    def __init__(self, folder: Path, doors: Sequence[str] = ("front",), *, log_all: bool = False) -> None:
        """log_all: also what the ACL denies."""
        super().__init__(folder)
        self._log_all = log_all
        site = "home"
        self.site = site
        self.doors = list(doors)
        self.authority = Authority.make(folder / "authority", site)
        self.place = BrokerPlace(folder / "broker", ("localhost", "127.0.0.1"), self.port)
        self.config = self.place.folder / "mosquitto.conf"
        self.write()

    def write(self, server_lasts: timedelta | None = None) -> None:
        """The broker's folder afresh; server_lasts: how long its certificate is good, none: as long as ever."""
        write_broker(self.place, self.authority, self.site, self.doors, persistence=self.folder)
        if server_lasts is not None:
            identity = self.authority.issue(Role.BROKER, "broker", self.place.hosts, server_lasts)
            identity.save(self.place.folder / "server.crt", self.place.folder / "server.key")
        more = ["user root"] * (os.geteuid() == 0) + ["log_type all"] * self._log_all
        with self.config.open("a", encoding="utf-8") as config:
            config.writelines(f"{line}\n" for line in more)

    @property
    def settings(self) -> BrokerSettings:
        """The page's."""
        return self.client(Role.PAGE, "page")

    def client(self, role: Role, name: str, lasts: timedelta | None = None) -> BrokerSettings:
        """Settings with a certificate of their own. lasts: may be negative, for one that has expired."""
        folder = self.folder / f"{role.value}-{name}-{time.monotonic_ns()}"
        certificate, key = folder / "mqtt.crt", folder / "mqtt.key"
        self.authority.issue(role, name, lasts=lasts or CERTIFICATE_LASTS).save(certificate, key)
        return BrokerSettings(
            url=self.place.url, ca_file=self.place.folder / "ca.crt", cert_file=certificate, key_file=key
        )

    def adopt(self, authority: Authority) -> None:
        """Another authority for the same site, such as an office's own."""
        self.authority = authority
        self.write()
        self.stop()
        self.start()

    def revoke(self, door: str) -> None:
        """As `latchkey-admin door revoke` and `systemctl reload mosquitto` do."""
        for role in (Role.DOOR, Role.LOCK):
            self.authority.revoke(role, door)
        self.doors.remove(door)
        refresh_broker(self.place.folder, self.authority, self.site, self.doors)
        self.reload()

    def reload(self) -> None:
        """Have it read acl, certificates and revoked.crl again; it has, when this returns."""
        assert self._process is not None
        log = self.folder / "mosquitto.log"
        before = log.read_bytes().count(RELOADING)
        self._process.send_signal(signal.SIGHUP)
        assert until(lambda: log.read_bytes().count(RELOADING) > before)
        # It says so before it reads, and lets nobody in meanwhile. A file that is changed now would be half read, and a
        # second signal forgotten.
        comes_after = Connection(
            self.settings, f"after-{time.monotonic_ns()}", subscriptions=[], on_message=print, on_connected=lambda: None
        )
        comes_after.start()
        assert comes_after.wait(20)
        comes_after.stop()
