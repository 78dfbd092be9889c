"""The folder that Mosquitto runs from: its configuration, who may say what, certificates and what is revoked.

mosquitto.conf, acl           made from the files of these names in firmware_config/lock
ca.crt, server.crt, server.key, revoked.crl

The ACL has lines for each door by name, not one pattern for all (docs/adr/0008): a door that is revoked loses its
lines with the next reload, also where its connection is still open; a restart ends that.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from admin_ui.authority import Authority, Role
from firmware_config.errors import BadState
from firmware_config.files import PRIVATE, PUBLIC, write_atomic
from firmware_config.messages import Topics
from firmware_config.settings import TLS_PORT

CONFIGURATION: Final = "mosquitto.conf"
ACL: Final = "acl"
NOTE: Final = "broker.json"
PER_DOOR: Final = "# --- from here on: once for each door\n"
FILES: Final = ("cafile", "certfile", "keyfile", "crlfile", "acl_file")
GROUP_MAY_READ: Final = 0o640
"""Mode of the key where the folder hands its files to a group (setgid): Mosquitto reads it as a user of its own."""
PERSISTENCE: Final = Path("/var/lib/mosquitto")
"""Debian's place for what Mosquitto keeps."""


@dataclass(frozen=True)
class BrokerPlace:
    """Where the folder is, and by which names the broker is reached there."""

    folder: Path
    hosts: tuple[str, ...]
    port: int = TLS_PORT

    @property
    def url(self) -> str:
        """As doors and page reach it: by its first name."""
        host = f"[{self.hosts[0]}]" if ":" in self.hosts[0] else self.hosts[0]
        return f"mqtts://{host}:{self.port}"


def acl_text(site: str, doors: Iterable[str]) -> str:
    """Who may say and hear what, with lines for each of these doors."""
    head, _, each = _template(ACL).partition(PER_DOOR)
    parts = [head.rstrip() + "\n"]
    for door in sorted(doors):
        parts.append(each.replace("DEVICE_ID", Topics(site, door).device_id).replace("DOOR", door))
    return "".join(parts).replace("SITE", site)


def write_broker(
    place: BrokerPlace, authority: Authority, site: str, doors: Sequence[str], persistence: Path = PERSISTENCE
) -> None:
    """The whole folder, with a new certificate for the broker. Raises BadInput for a host that is none, OSError."""
    identity = authority.issue(Role.BROKER, "broker", place.hosts)
    place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = GROUP_MAY_READ if place.folder.stat().st_mode & stat.S_ISGID else PRIVATE
    identity.save(place.folder / "server.crt", place.folder / "server.key", key_mode=mode)
    write_atomic(place.folder / "ca.crt", authority.certificate, mode=PUBLIC)
    lines = _template(CONFIGURATION)
    for option in FILES:
        lines = re.sub(rf"^{option} (?=\S+$)", lambda found: f"{found[0]}{place.folder}/", lines, flags=re.M)
    lines = re.sub(r"^listener \d+$", f"listener {place.port}", lines, flags=re.M)
    lines = re.sub(r"^persistence_location .*$", f"persistence_location {persistence}/", lines, flags=re.M)
    write_atomic(place.folder / CONFIGURATION, lines.encode(), mode=PUBLIC)
    refresh_broker(place.folder, authority, site, doors)


def refresh_broker(folder: Path, authority: Authority, site: str, doors: Iterable[str]) -> None:
    """What changes with every door: acl and revoked.crl. Mosquitto reads them at SIGHUP. Raises OSError."""
    mode = GROUP_MAY_READ if folder.stat().st_mode & stat.S_ISGID else PRIVATE
    write_atomic(folder / ACL, acl_text(site, doors).encode(), mode=mode)
    write_atomic(folder / "revoked.crl", authority.revoked, mode=PUBLIC)


def remember(state: Path, place: BrokerPlace) -> None:
    """Note in the page's state folder where the broker's folder is. Raises OSError."""
    note = {"folder": str(place.folder), "hosts": list(place.hosts), "port": place.port}
    write_atomic(state / NOTE, json.dumps(note, indent=2).encode() + b"\n")


def remembered(state: Path) -> BrokerPlace | None:
    """None before `broker write`. Raises BadState."""
    path = state / NOTE
    try:
        note = json.loads(path.read_bytes())
        return BrokerPlace(Path(note["folder"]), tuple(note["hosts"]), int(note["port"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadState(f"{path} cannot be read: {error!r}. Run `latchkey-admin broker write` again.") from error


def _template(name: str) -> str:
    return (resources.files("firmware_config") / "lock" / name).read_text(encoding="utf-8")
