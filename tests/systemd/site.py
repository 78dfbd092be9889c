"""A small site in one container: broker, page, door and lock, each the service that install.sh put there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.systemd.container import Container
from tests.waiting import until

DEVICE, LOCK, ADMIN = "latchkey-device", "latchkey-lock", "latchkey-admin"
SERVICES = [DEVICE, LOCK, ADMIN]
SETTINGS = "/etc/latchkey/door.toml"
PAIRINGS = "/var/lib/latchkey-admin/pairings/front"


class Site:
    """What an administrator does on it, as root, with the programs that are installed."""

    def __init__(self, machine: Container) -> None:
        self.machine = machine

    def found(self, owner: int, photo: bytes) -> None:
        """Found the site, add a door, pair door and lock on this machine, enrol `owner`."""
        run = self.machine.run
        run("systemctl", "start", "mosquitto")
        self.admin("init", "--site", "office", "--broker", "mqtt://127.0.0.1:1883")
        self.admin("door", "add", "front")
        run("systemctl", "start", ADMIN)
        self.write("/var/lib/latchkey-admin/photo.png", photo)
        self.set_camera(f"demo:?owners={owner}&strangers=1&approach=1&pause=1&gap=0.2")
        # The only thing here that is no real part: a relay that says what it would do.
        self.write(
            "/etc/systemd/system/latchkey-lock.service.d/relay.conf",
            b"[Service]\nEnvironment=LATCHKEY_RELAY=--simulate\n",
        )
        run("latchkey-pair", f"{PAIRINGS}/lock")
        run("latchkey-pair", f"{PAIRINGS}/door")
        self.admin("enrol", "Ann", "/var/lib/latchkey-admin/photo.png")

    def admin(self, *arguments: str) -> str:
        """latchkey-admin as its own user."""
        user = ["runuser", "-u", "latchkey-admin", "--", "latchkey-admin"]
        return self.machine.run("env", "LATCHKEY_CACHE=/var/cache/latchkey-admin", *user, *arguments)

    def write(self, path: str, data: bytes) -> None:
        """A file, readable by all, as an administrator would put it there."""
        place = self.machine.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o644)

    def read(self, path: str) -> str:
        """A file's text."""
        return (self.machine.root / path.lstrip("/")).read_text(encoding="utf-8")

    def set_camera(self, source: str) -> None:
        """Change camera.source in door.toml."""
        self.write(SETTINGS, re.sub(r'source = "[^"]*"', f'source = "{source}"', self.read(SETTINGS)).encode())

    def add_address(self, address: str) -> None:
        """One more address of the container's own loopback, by this machine's `ip`."""
        self.machine.run_outside("ip", "address", "replace", f"{address}/32", "dev", "lo")

    def make_well(self) -> None:
        """Every service is up, whatever the test before did."""
        self.machine.run("systemctl", "start", *SERVICES)
        assert until(lambda: "frames/s" in self.status, 60), self.status

    @property
    def status(self) -> str:
        """The door's line in `systemctl status`."""
        return self.machine.show(DEVICE, "StatusText")

    def pid(self, service: str = DEVICE) -> int:
        """Main process, 0 when there is none."""
        return int(self.machine.show(service, "MainPID"))

    def is_active(self, service: str = DEVICE) -> bool:
        return self.machine.show(service, "ActiveState") == "active"

    def files_with(self, secret: bytes, *folders: str) -> list[Path]:
        """Files of the container that hold these bytes."""
        found = []
        for folder in folders:
            for path in (self.machine.root / folder.lstrip("/")).rglob("*"):
                if path.is_file() and secret in path.read_bytes():
                    found.append(path)
        return found
