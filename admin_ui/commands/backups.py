"""latchkey-admin backup and restore."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from admin_ui.commands.shared import OK, office_at, site_settings, whoever
from admin_ui.owner import give_back
from firmware_config.errors import BadInput
from firmware_config.files import PRIVATE, sync_folder

if TYPE_CHECKING:
    from admin_ui.commands.shared import Commands

STREAM: Final = Path("-")


def add_backups(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Add `backup` and `restore`."""
    backup = commands.add_parser("backup", parents=[shared], help="the whole site into one file; the page may run")
    backup.add_argument("file", type=Path, help="a new file, or - for standard output (to encrypt it on its way)")
    backup.set_defaults(command=_backup)
    restore = commands.add_parser("restore", parents=[shared], help="the site as a backup has it; stop the page first")
    restore.add_argument("file", type=Path, help="what `backup` wrote, or - for standard input")
    restore.set_defaults(command=_restore)


def _backup(options: argparse.Namespace) -> int:
    from admin_ui.backup import write_backup  # noqa: PLC0415

    settings = site_settings(options, root=True)
    if options.file == STREAM:
        made = write_backup(settings, sys.stdout.buffer)
    else:
        half = options.file.with_name(f".{options.file.name}.half")
        if options.file.exists():
            raise BadInput(f"{options.file} is there already. Name a new file; old backups are yours to remove.")
        try:
            handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
            with os.fdopen(handle, "wb") as out:
                made = write_backup(settings, out)
                out.flush()
                os.fsync(out.fileno())
            half.rename(options.file)
            sync_folder(options.file.resolve().parent)
        finally:
            half.unlink(missing_ok=True)
    elsewhere = "" if made.with_store else " The store is not in it: dump that database as well (pg_dump)."
    print(
        f"Site {made.site}, {made.made:%Y-%m-%d %H:%M} UTC. Keep it as you keep keys: "
        f"whoever has it can enrol.{elsewhere}",
        file=sys.stderr,
    )
    return OK


def _restore(options: argparse.Namespace) -> int:
    from admin_ui.backup import restore  # noqa: PLC0415

    settings = site_settings(options, root=True)
    if options.file == STREAM:
        made, before = restore(settings, sys.stdin.buffer)
    else:
        with options.file.open("rb") as source:
            made, before = restore(settings, source)
    print(f"Site {made.site} is as it was on {made.made:%Y-%m-%d %H:%M} UTC.")
    if before is not None:
        print(f"What was there before is in {before}. Erase it when all is well: it has keys and faces in it.")
    try:
        with office_at(options, connect=False, root=True) as office:
            lists = office.overtake(whoever(), f"restored a backup of {made.made.isoformat()}")
    finally:
        give_back(settings.state)
    print(f"The lists of {lists} doors are numbered past those that the doors may have; start the page to send them.")
    return OK
