"""latchkey-admin audit ..."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from admin_ui.commands.shared import FAILED, OK, office_at, whoever

if TYPE_CHECKING:
    from admin_ui.commands.shared import Commands


def add_audit(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Add `audit ...`."""
    audit = commands.add_parser("audit", help="the record of acts, and the doors' audits").add_subparsers(
        required=True, metavar="WHAT"
    )
    verify = audit.add_parser("verify", parents=[shared], help="is the record of acts whole, and every door's audit?")
    verify.set_defaults(command=_verify)
    export = audit.add_parser("export", parents=[shared], help="the record of acts as JSON lines")
    export.add_argument("file", type=Path, nargs="?", help="default: standard output")
    export.set_defaults(command=_export)
    accept = audit.add_parser("accept", parents=[shared], help="watch a door's audit anew, after its alarm")
    accept.add_argument("door")
    accept.set_defaults(command=_accept)


def _verify(options: argparse.Namespace) -> int:
    with office_at(options, connect=False) as office:
        with office.store.read() as session:
            head = office.witness.verify(session)
        print(f"The record of acts is whole: {head.count} acts, the last is {head}.")
        heads = office.audit_heads()
    for door, seen in heads.items():
        well = f"last seen at {seen.seq}:{seen.hash}." if seen.seq else "nothing heard yet."
        print(seen.alarm or f"The audit of {door}: {well}")
    return FAILED if any(seen.alarm for seen in heads.values()) else OK


def _export(options: argparse.Namespace) -> int:
    from admin_ui.acts import read_acts  # noqa: PLC0415

    with office_at(options, connect=False) as office, office.store.read() as session:
        lines = (json.dumps(act, ensure_ascii=False) + "\n" for act in read_acts(session))
        if options.file is None:
            sys.stdout.writelines(lines)
        else:
            with options.file.open("w", encoding="utf-8") as out:
                out.writelines(lines)
    return OK


def _accept(options: argparse.Namespace) -> int:
    with office_at(options, connect=False) as office:
        office.accept_audit(options.door, whoever())
        print(f"The audit of {options.door} is watched anew from now on.")
    return OK
