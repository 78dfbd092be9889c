"""latchkey-admin events ..."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from admin_ui.commands.shared import OK, office_at, whoever

if TYPE_CHECKING:
    from admin_ui.commands.shared import Commands


def add_events(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Add `events ...`."""
    events = commands.add_parser("events", help="what happened at the doors").add_subparsers(
        required=True, metavar="WHAT"
    )
    prune = events.add_parser("prune", parents=[shared], help="delete old events from the store, for good")
    prune.add_argument("--older-than", type=int, required=True, metavar="DAYS")
    prune.set_defaults(command=_prune)


def _prune(options: argparse.Namespace) -> int:
    with office_at(options, connect=False) as office:
        gone = office.prune_events(options.older_than, whoever())
    print(f"{gone} events older than {options.older_than} days are deleted; the record of acts says so.")
    return OK
