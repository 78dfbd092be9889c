"""latchkey-admin door ..."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from admin_ui.commands.shared import FAILED, OK, office_at, report, site_settings, whoever
from firmware_config.errors import BadInput
from firmware_config.schema import validate
from firmware_config.settings import BrokerSettings

if TYPE_CHECKING:
    from admin_ui.commands.shared import Commands

RETAINED_S: Final = 1.0
"""Seconds in which what doors and locks said last, retained, has come: it follows right after the connection."""


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
    renew = door.add_parser("renew", parents=[shared], help="new certificates for a door and its lock")
    renew.add_argument("name")
    renew.add_argument("--out", type=Path, help="the folder (default: below the state folder)")
    renew.add_argument("--broker", default="", metavar="URL", help="as the door reaches it")
    renew.set_defaults(command=_door_renew, username="", password_file=None)
    revoke = door.add_parser("revoke", parents=[shared], help="make a door and its lock worthless, for good")
    revoke.add_argument("name")
    revoke.set_defaults(command=_door_revoke)
    door.add_parser("list", parents=[shared], help="what the doors say").set_defaults(command=_door_list)
    unlock = door.add_parser("unlock", parents=[shared], help="ask a door to unlock now")
    unlock.add_argument("name")
    unlock.add_argument("--why", default="", help="goes into the record")
    unlock.set_defaults(command=_door_unlock)
    tau = door.add_parser("tau", parents=[shared], help="show or change a door's threshold")
    tau.add_argument("name")
    tau.add_argument("tau", type=float, nargs="?", help="distance, 0 to 2")
    tau.add_argument("--fpir", type=float, metavar="RATE", help="let it follow the number of people: 1e-4 is usual")
    tau.set_defaults(command=_door_tau)
    house = door.add_parser("home-assistant", parents=[shared], help="show or change whether Home Assistant may unlock")
    house.add_argument("name")
    house.add_argument("may", choices=["on", "off"], nargs="?")
    house.set_defaults(command=_door_home_assistant)


def _broker(options: argparse.Namespace) -> BrokerSettings | None:
    settings = site_settings(options)
    if not (options.broker or options.username):
        return None
    values = {"url": options.broker or settings.broker.url, "ca_file": settings.broker.ca_file}
    values |= {"username": options.username, "password_file": options.password_file}
    return validate(BrokerSettings, values, Path("--broker"))


def _door_add(options: argparse.Namespace) -> int:
    broker = _broker(options)
    with office_at(options, connect=True) as office:
        folder = office.add_door(options.name, whoever(), options.out, broker)
        print(f"{options.name} is made. Carry {folder / 'door'} to the door and {folder / 'lock'} to its lock.")
        for sentence in office.refresh_broker():
            print(sentence)
    return OK


def _door_renew(options: argparse.Namespace) -> int:
    broker = _broker(options)
    with office_at(options, connect=False) as office:
        folder = office.renew_door(options.name, whoever(), options.out, broker)
        print(f"Carry {folder / 'door'} to the door and {folder / 'lock'} to its lock, and restart both.")
        for sentence in office.refresh_broker():  # perhaps adding it was cut off before this
            print(sentence)
    return OK


def _door_revoke(options: argparse.Namespace) -> int:
    with office_at(options, connect=True) as office:
        print("\n".join(office.revoke_door(options.name, whoever())))
    return OK


def _door_list(options: argparse.Namespace) -> int:
    from admin_ui.views import STATE_UNKNOWN  # noqa: PLC0415

    with office_at(options, connect=True) as office:
        office.link.wait_until(
            lambda: all(door.online and door.lock != STATE_UNKNOWN for door in office.doors()), RETAINED_S
        )
        for door in office.doors():
            state = "online" if door.online else "offline"
            print(
                f"{door.name}: {state}, lock {door.lock}, list {door.applied_generation} of {door.generation}, "
                f"{door.people} people, threshold {door.tau:.3f}"
            )
            for problem in door.problems:
                print(f"  {problem}")
        for sentence in office.certificate_news():
            print(sentence)
    return OK


def _door_unlock(options: argparse.Namespace) -> int:
    with office_at(options, connect=True) as office:
        office.link.wait_until(lambda: office.link.presence(options.name).online, RETAINED_S)
        answer = office.unlock(options.name, whoever(), options.why)
    print(answer.sentence)
    return OK if answer.ok else FAILED


def _door_home_assistant(options: argparse.Namespace) -> int:
    with office_at(options, connect=options.may is not None) as office:
        if options.may is not None:
            office.link.wait_until(lambda: office.link.presence(options.name).online, RETAINED_S)
            return report(office, office.let_home_assistant_unlock(options.name, options.may == "on", whoever()))
        print("on" if office.may_home_assistant_unlock(options.name) else "off")
    return OK


def _door_tau(options: argparse.Namespace) -> int:
    if options.tau is not None and options.fpir is not None:
        raise BadInput("Give a threshold, or --fpir to have it follow the number of people; not both.")
    changes = options.tau is not None or options.fpir is not None
    with office_at(options, connect=changes) as office:
        if options.fpir is not None:
            report(office, office.follow_gallery(options.name, options.fpir, whoever()))
        if options.tau is not None:
            office.link.wait_until(lambda: office.link.presence(options.name).online, RETAINED_S)
            report(office, office.set_tau(options.name, options.tau, whoever()))
        view = office.threshold(options.name)
        print(f"{view.tau:.3f} (from {view.low:g} to {view.high:g}). {office.explain_tau(options.name, view.tau)}")
    return OK
