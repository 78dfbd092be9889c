"""`latchkey-device audit verify` and `audit export`: whether the record is whole, and what it says.

Both read the door's own audit with its key, beside a running daemon if need be; or a copy of it (`--folder`), with
the key (`--key`, a door.key) or without: then the chain alone can be checked.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from device.audit import read, verify
from device.door_toml import read_door_toml
from device.ledger import Record, audit_key
from device.proof import inspect
from device.segments import segments
from device.shelf import AUDIT_FOLDER
from firmware_config.chain import Head
from firmware_config.errors import BadInput
from firmware_config.keys import SecretKey
from firmware_config.pairing import load_door as load_pairing

COLUMNS: Final = ("seq", "at", "kind", "outcome", "reason", "person_id", "distance", "by")
"""Of a CSV; `facts` has the rest as JSON, `hash` is the last."""

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings that a spreadsheet takes for a formula (OWASP, CSV injection): who asks for an unlock is a free text."""


def add_commands(commands: Any, default_settings: Path) -> None:
    """`audit` with its two commands, under the program's own."""
    audit = commands.add_parser("audit", help="check the record of decisions, or print it")
    actions = audit.add_subparsers(required=True, metavar="ACTION")

    check = actions.add_parser("verify", help="check every record and the chain that they make")
    check.add_argument(
        "--head", type=parse_head, metavar="SEQ:HASH", help="a head that was noted before, or the page's"
    )
    check.set_defaults(command=_verify)

    export = actions.add_parser("export", help="print the records, checked on the way")
    export.add_argument("--since", type=parse_moment, metavar="TIME", help="e.g. 2025-03-01 or 2025-03-01T08:00+01:00")
    export.add_argument("--until", type=parse_moment, metavar="TIME", help="up to this moment; no zone means UTC")
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="JSON lines (default) or CSV")
    export.set_defaults(command=_export)

    for action in (check, export):
        action.add_argument("--settings", type=Path, default=default_settings, help=f"default {default_settings}")
        action.add_argument("--folder", type=Path, help="a copy of a door's audit folder, instead of this door's")
        action.add_argument("--key", type=Path, help="with --folder: the door.key that it was sealed with")


def parse_head(text: str) -> Head:
    """SEQ:HASH, as `audit verify` prints it."""
    try:
        return Head.parse(text.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, as `audit verify` prints it") from error


def parse_moment(text: str) -> datetime:
    """ISO 8601; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date or time such as 2025-03-01T08:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def between(records: Iterable[Record], since: datetime | None, until: datetime | None) -> Iterator[Record]:
    """Records from `since` on and before `until`. A clock that was set back does not hide what follows."""
    for record in records:
        at = datetime.fromisoformat(record["at"])
        if (since is None or at >= since) and (until is None or at < until):
            yield record


def row(record: Record) -> list[object]:
    """A record as a line of the CSV."""
    detail = record.get("detail", {})
    flat = {**record, **{name: detail[name] for name in ("person_id", "distance", "by") if name in detail}}
    rest = {name: value for name, value in record.items() if name not in COLUMNS and name != "hash"}
    cells = [flat.get(name, "") for name in COLUMNS]
    return [*map(_harmless, cells), json.dumps(rest, sort_keys=True), record["hash"]]


def _verify(options: argparse.Namespace) -> int:
    folder, key = _source(options)
    found = inspect(folder, key, options.head)
    proof = "every seal is this door's" if key is not None else "the seals were not looked at: no key was given"
    kept = found.end.count - found.pruned.count
    print(f"{kept} records in {len(segments(folder))} files; the chain is whole, {proof}.")
    if found.pruned.count:
        why = "this door pruned them, and its page had agreed" if key else "pruned or cut off, its key would tell which"
        print(f"Records 1 to {found.pruned.count} are not there any more: {why}.")
    print(f"It ends at {found.end}")
    return 0


def _export(options: argparse.Namespace) -> int:
    folder, key = _source(options)
    if key is None:
        raise BadInput("The records are sealed. Name the door's key: --key FOLDER/door.key.")
    verify(folder, key)  # first, so that no part is printed of a record that is not whole
    records = between(read(folder, key), options.since, options.until)
    if options.format == "csv":
        table = csv.writer(sys.stdout)
        table.writerow([*COLUMNS, "facts", "hash"])
        table.writerows(map(row, records))
    else:
        for record in records:
            print(json.dumps(record, ensure_ascii=False))
    return 0


def _source(options: argparse.Namespace) -> tuple[Path, SecretKey | None]:
    if options.folder is not None:
        if not segments(options.folder):
            raise BadInput(f"There is no audit in {options.folder}. A door's is {AUDIT_FOLDER} in its state folder.")
        return options.folder, audit_key(SecretKey.load(options.key)) if options.key else None
    if options.key is not None:
        raise BadInput("--key goes with --folder, for a copy; this door's own key comes from its pairing.")
    settings = read_door_toml(options.settings)
    return settings.state / AUDIT_FOLDER, audit_key(load_pairing(settings.pairing).door_key)


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
