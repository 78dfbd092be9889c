"""The audit of version 0.1, `audit.log` in plain JSON lines: sealed once, at the first start of a newer version.

It is carried over, not moved aside: it names everybody who came in, and a copied SD card would go on showing it.
Every record keeps its seq and its time and loses the person's name; the id stays. The folder is made under another
name and takes its own in one step, then the plain file goes: a power cut leaves one of the two.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from device.audit import SEGMENT_RECORDS
from device.ledger import ADVICE, RESERVED, write_line
from device.segments import end_of_last_line, segment
from device.witness import HEAD_FILE, Witness
from firmware_config.chain import ORIGIN, Head, link_hash
from firmware_config.errors import BadState, DiskFault
from firmware_config.files import sync_folder, write_atomic
from firmware_config.keys import SecretKey

PLAIN_FILE: Final = "audit.log"
TORN_FILE: Final = "audit.log.torn"


def seal_plain_audit(state: Path, folder: Path, key: SecretKey) -> int:
    """state: where the plain file may be. folder: the audit's. key: its key -> how many records were carried over.

    Raises BadState for a plain file that was changed since it was written, DiskFault when the disk does not take it.
    """
    plain, making = state / PLAIN_FILE, folder.with_name(f".{folder.name}.making")
    try:
        shutil.rmtree(making, ignore_errors=True)
        if not plain.exists():
            return 0
        count = 0
        if not folder.exists():
            count = _carry_over(plain, making, key)
            making.rename(folder)
            sync_folder(state)
        plain.unlink()
        (state / TORN_FILE).unlink(missing_ok=True)
        sync_folder(state)
    except OSError as error:
        raise DiskFault(f"The audit {plain} of version 0.1 cannot be sealed ({error}). Is the disk full?") from error
    return count


def _carry_over(plain: Path, folder: Path, key: SecretKey) -> int:
    folder.mkdir(mode=0o700)
    head = Head()
    lines: list[bytes] = []
    for record in read_plain(plain):
        facts = {name: value for name, value in record.items() if name not in RESERVED}
        if isinstance(facts.get("detail"), dict):
            facts["detail"] = {name: value for name, value in facts["detail"].items() if name != "person"}
        line, sealed = write_line(key, head, record["kind"], facts, datetime.fromisoformat(record["at"]))
        lines.append(line)
        head = Head(sealed["seq"], sealed["hash"])
        if len(lines) == SEGMENT_RECORDS:
            _write_segment(folder, head, lines)
    if lines:
        _write_segment(folder, head, lines)
    Witness(folder / HEAD_FILE, key).create(head)
    return head.count


def _write_segment(folder: Path, head: Head, lines: list[bytes]) -> None:
    write_atomic(segment(folder, head.count - len(lines) + 1), b"".join(lines))
    lines.clear()


def read_plain(path: Path) -> Iterator[dict[str, Any]]:
    """Records of version 0.1, the chain checked on the way; a torn last line is left out. Raises BadState, OSError."""
    previous, count = ORIGIN, 0
    end = end_of_last_line(path)
    with path.open("rb") as lines:
        for line in lines:
            if lines.tell() > end:
                return
            count += 1
            try:
                record = json.loads(line)
                rest = {name: value for name, value in record.items() if name != "hash"}
                fits = record["hash"] == link_hash(previous, rest) and record["seq"] == count
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise BadState(f"{path}, line {count} is not an audit record. {ADVICE}") from error
            if not fits:
                raise BadState(f"{path}, line {count} was changed after it was written. {ADVICE}")
            previous = record["hash"]
            yield record
