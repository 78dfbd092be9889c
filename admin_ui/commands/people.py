"""latchkey-admin enrol, people ..."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from admin_ui.commands.shared import OK, office_at, report, whoever
from firmware_config.errors import BadInput

if TYPE_CHECKING:
    from admin_ui.commands.shared import Commands


def add_people(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Add `enrol` and `people ...`."""
    enrol = commands.add_parser("enrol", parents=[shared], help="enrol somebody from a photo")
    enrol.add_argument("name")
    enrol.add_argument("photo", type=Path)
    enrol.add_argument("--door", action="append", default=[], help="may be given again (default: every door)")
    enrol.add_argument("--another-person", action="store_true", help="enrol although somebody looks the same")
    enrol.set_defaults(command=_enrol)
    people = commands.add_parser("people", parents=[shared], help="who is enrolled")
    people.set_defaults(command=_people)
    what = people.add_subparsers(metavar="WHAT")
    what.add_parser("list", parents=[shared], help="all, by name").set_defaults(command=_people)
    remove = what.add_parser("remove", parents=[shared], help="erase somebody")
    remove.add_argument("name", help="name or id")
    remove.set_defaults(command=_remove)


def _enrol(options: argparse.Namespace) -> int:
    photo = options.photo.read_bytes()
    with office_at(options, connect=True) as office:
        return report(
            office,
            office.enrol(options.name, photo, options.door, whoever(), confirm_duplicate=options.another_person),
        )


def _people(options: argparse.Namespace) -> int:
    with office_at(options, connect=False) as office:
        for person in office.people():
            print(f"{person.id}  {person.name}  ({', '.join(person.doors) or 'no door'})")
    return OK


def _remove(options: argparse.Namespace) -> int:
    with office_at(options, connect=True) as office:
        wanted = [one for one in office.people() if options.name in (one.id, one.name)]
        if not wanted:
            raise BadInput(f"Nobody named {options.name!r} is enrolled. `latchkey-admin people` lists all.")
        return report(office, office.remove(wanted[0].id, whoever()))
