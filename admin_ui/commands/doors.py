"""latchkey-admin door ..."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from admin_ui.commands.shared import FAILED, OK, office_at, report, whoever
from firmware_config.settings import BrokerSettings, load_admin

if TYPE_CHECKING:
    from admin_ui.commands.shared import Commands


def add_doors(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Add `door ...`."""
    door = commands.add_parser("door", help="doors").add_subparsers(required=True, metavar="WHAT")
    add = door.add_parser("add", parents=[shared], help="make a door and the folder to carry to it")
    add.add_argument("name")
    add.add_argument("--out", type=Path, help="the folder (default: below the state folder)")
    add.add_argument("--broker", default="", metavar="URL", help="as the door reaches it (default: as the page does)")
    add.add_argument("--username", default="", help="the door's user at the broker")
    add.add_argument("--password-file", type=Path, help="the door's password at the broker")
    add.set_defaults(command=_door_add)
    door.add_parser("list", parents=[shared], help="what the doors say").set_defaults(command=_door_list)
    unlock = door.add_parser("unlock", parents=[shared], help="ask a door to unlock now")
    unlock.add_argument("name")
    unlock.add_argument("--why", default="", help="goes into the record")
    unlock.set_defaults(command=_door_unlock)
    tau = door.add_parser("tau", parents=[shared], help="show or change a door's threshold")
    tau.add_argument("name")
    tau.add_argument("tau", type=float, nargs="?", help="distance, 0 to 2")
    tau.set_defaults(command=_door_tau)


def _door_add(options: argparse.Namespace) -> int:
    broker: BrokerSettings | None = None
    settings = load_admin(options.settings)
    if options.broker or options.username:
        values = {"url": options.broker or settings.broker.url, "ca_file": settings.broker.ca_file}
        values |= {"username": options.username, "password_file": options.password_file}
        broker = BrokerSettings.model_validate(values)
    with office_at(options, connect=True) as office:
        folder = office.add_door(options.name, whoever(), options.out, broker)
        print(f"{options.name} is made. Carry {folder / 'door'} to the door and {folder / 'lock'} to its lock.")
    return OK


def _door_list(options: argparse.Namespace) -> int:
    with office_at(options, connect=True) as office:
        # The doors' retained words arrive right after the connection; their answers need no longer than this.
        office.link.wait_until(lambda: all(door.online for door in office.doors()), 1.0)
        for door in office.doors():
            state = "online" if door.online else "offline"
            print(
                f"{door.name}: {state}, lock {door.lock}, list {door.applied_generation} of {door.generation}, "
                f"{door.people} people, threshold {door.tau:.3f}"
            )
            for problem in door.problems:
                print(f"  {problem}")
    return OK


def _door_unlock(options: argparse.Namespace) -> int:
    with office_at(options, connect=True) as office:
        office.link.wait_until(lambda: office.link.presence(options.name).online, 1.0)
        answer = office.unlock(options.name, whoever(), options.why)
    print(answer.sentence)
    return OK if answer.ok else FAILED


def _door_tau(options: argparse.Namespace) -> int:
    with office_at(options, connect=options.tau is not None) as office:
        if options.tau is not None:
            office.link.wait_until(lambda: office.link.presence(options.name).online, 1.0)
            report(office, office.set_tau(options.name, options.tau, whoever()))
        view = office.threshold(options.name)
        print(f"{view.tau:.3f} (from {view.low:g} to {view.high:g}). {office.explain_tau(options.name, view.tau)}")
    return OK
