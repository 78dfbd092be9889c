"""latchkey-admin broker ..."""

from __future__ import annotations

import argparse
import getpass
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from admin_ui.commands.shared import OK, office_at, whoever
from firmware_config.settings import TLS_PORT

if TYPE_CHECKING:
    from admin_ui.commands.shared import Commands


def add_broker(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Add `broker ...`."""
    broker = commands.add_parser("broker", help="Mosquitto and who may speak to it").add_subparsers(
        required=True, metavar="WHAT"
    )
    write = broker.add_parser("write", parents=[shared], help="make Mosquitto's folder, or make it anew")
    write.add_argument("folder", type=Path, help="such as /etc/mosquitto/latchkey")
    write.add_argument("--host", action="append", required=True, help="name or address of the broker; may be repeated")
    write.add_argument("--port", type=int, default=TLS_PORT, help=f"default {TLS_PORT}")
    write.set_defaults(command=_write)
    client = broker.add_parser("client", parents=[shared], help="make a certificate for Home Assistant or the page")
    client.add_argument("who", choices=["home-assistant", "page"])
    client.add_argument("--out", type=Path, help="the folder (default for the page: where the page looks)")
    client.set_defaults(command=_client)


def _write(options: argparse.Namespace) -> int:
    from admin_ui.brokerage import BrokerPlace  # noqa: PLC0415
    from admin_ui.founding import lines_to_add  # noqa: PLC0415
    from admin_ui.webcert import general_name  # noqa: PLC0415

    for host in options.host:
        general_name(host)  # raises BadInput
    place = BrokerPlace(options.folder.resolve(), tuple(options.host), options.port)
    with office_at(options, connect=False) as office:
        office.write_broker(place, whoever())
        lines = lines_to_add(office.settings, place)
    print(f"{place.folder} is ready: `mosquitto -c {place.folder / 'mosquitto.conf'}`, or reload the one that runs.")
    if not _is_for_a_group(place.folder):
        print(
            "Mosquitto cannot read it where it runs as a user of its own, as Debian's does. Let its group read it, "
            f"as root: `install -d -o {getpass.getuser()} -g mosquitto -m 2750 {place.folder}`; then write it again.",
            file=sys.stderr,
        )
    if lines:
        print(f"The page reaches it with these lines in {options.settings}:", *lines, sep="\n")
    return OK


def _is_for_a_group(folder: Path) -> bool:
    """Hands its files, the key among them, to a group that may read them: see write_broker."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_ISGID and mode & stat.S_IRGRP and mode & stat.S_IXGRP)


def _client(options: argparse.Namespace) -> int:
    from admin_ui.authority import Role  # noqa: PLC0415
    from admin_ui.keyring import KEYS, PAGE_FOLDER  # noqa: PLC0415

    role = Role(options.who)
    with office_at(options, connect=False) as office:
        state = office.settings.state
        default = state / KEYS / PAGE_FOLDER if role is Role.PAGE else state / "pairings" / role.value
        folder = options.out or default
        office.write_client(role, folder, whoever())
    print(f"{folder} has mqtt.crt, mqtt.key (secret) and ca.crt for {options.who}.")
    return OK
