"""latchkey-admin: found a site, serve its page, and do from a shell what the page does."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from admin_ui.commands.audit import add_audit
from admin_ui.commands.backups import add_backups
from admin_ui.commands.broker import add_broker
from admin_ui.commands.doors import add_doors
from admin_ui.commands.events import add_events
from admin_ui.commands.people import add_people
from admin_ui.commands.shared import BAD_ARGUMENTS, FAILED
from admin_ui.commands.site import add_model, add_site
from admin_ui.demo.command import add_demo
from admin_ui.owner import whose
from firmware_config.errors import LatchkeyError, os_sentence
from firmware_config.schema import SettingsRefused

DEFAULT_SETTINGS: Final = Path("/etc/latchkey-admin/admin.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """-> exit code: 0 done, 1 failed, 2 wrong settings or arguments."""
    options = _parser().parse_args(arguments)
    options.words = list(sys.argv[1:] if arguments is None else arguments)
    stamp = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING,
        format=f"{stamp}%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # The migrations' own progress is of no use to a person.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        code: int = options.command(options)
    except SettingsRefused as refused:
        print(refused, file=sys.stderr)
        return BAD_ARGUMENTS
    except LatchkeyError as error:
        print(error, file=sys.stderr)
        return FAILED
    except PermissionError as error:
        owner = whose(Path(error.filename)) if isinstance(error.filename, str) else ""
        print(f"{os_sentence(error)} {owner}".rstrip(), file=sys.stderr)
        return FAILED
    except OSError as error:
        print(os_sentence(error), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latchkey-admin", description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    parser.add_argument("--settings", type=Path, default=DEFAULT_SETTINGS, help=f"default {DEFAULT_SETTINGS}")
    # After the command as well, where people look for it; SUPPRESS keeps the default of the one above.
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--settings", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add_site(commands, shared)
    add_doors(commands, shared)
    add_broker(commands, shared)
    add_people(commands, shared)
    add_events(commands, shared)
    add_model(commands, shared)
    add_audit(commands, shared)
    add_backups(commands, shared)
    add_demo(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
