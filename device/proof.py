"""Whether an audit is whole: at a start quickly, by `latchkey-device audit verify` record by record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device.ledger import ADVICE, Record
from device.pruned import PRUNED_FILE, read_pruned
from device.segments import apart, check_ends, first_seq, segments, walk
from device.witness import HEAD_FILE, Witness
from firmware_config.chain import Head
from firmware_config.errors import BadInput, BadState
from firmware_config.keys import SecretKey

PRUNING: Final = "audit_pruning"
"""Reason of the event by which a door tells what it is about to prune; its detail says up to where."""


def glance(folder: Path, key: SecretKey) -> Head:
    """What a start looks at, changing nothing -> where the chain ends. Raises BadState."""
    seen, least = Witness(folder / HEAD_FILE, key).expected()
    pruned = read_pruned(folder, key)
    return check_end(apart(segments(folder), pruned)[1], key, pruned, seen, least)


def check_end(paths: list[Path], key: SecretKey, pruned: Head, seen: Head, least: int) -> Head:
    """The last segment whole, the ends of the others, and the head that was seen. Raises BadState, OSError."""
    if paths and not paths[-1].stat().st_size:
        paths = paths[:-1]  # its first record never came to be
    check_ends(paths, pruned)
    end = pruned
    for line, place in walk(paths[-1:]):
        line.open(key, place)
        for head in (Head(line.seq - 1, line.prev), line.head):
            refuse_another(head, seen, place)
        end = line.head
    refuse_cut_tail(end.count, least)
    return end


@dataclass(frozen=True)
class Verified:
    """An audit that is whole. end: where its chain ends. pruned: records before it, with the hash where it is known."""

    end: Head
    pruned: Head


def verify(folder: Path, key: SecretKey | None = None, known: Head | None = None) -> Head:
    """As `inspect` -> where the chain ends."""
    return inspect(folder, key, known).end


def inspect(folder: Path, key: SecretKey | None = None, known: Head | None = None) -> Verified:
    """Check every record that there is.

    key: opens every seal, `head` and `pruned` too; None checks the chain alone, which whoever can write to the disk can
    make anew. known: a head that somebody else kept; the chain has to go through it. Raises BadState, and BadInput for
    a known head that was pruned.
    """
    if not folder.is_dir():
        raise BadState(f"There is no audit in {folder}.")
    least = 0
    wanted = [known] if known is not None else []
    if key is not None:
        pruned = read_pruned(folder, key)
        seen, least = Witness(folder / HEAD_FILE, key).expected()
        wanted.append(seen)
        _, paths = apart(segments(folder), pruned)
    else:
        paths = segments(folder)
        pruned = _begins_after(folder, paths)
    if known is not None:
        if known.count < pruned.count:
            raise BadInput(f"Record {known.count} was pruned; the oldest that is left is {pruned.count + 1}.")
        if pruned.count and pruned.hash:
            refuse_another(pruned, known, str(folder / PRUNED_FILE))
    end, told = pruned, not pruned.count or key is None
    for line, place in walk(paths, end if end.hash else None):
        if key is not None:
            record = line.open(key, place)
            told = told or _tells(record, pruned)
        for head in wanted:
            refuse_another(line.head, head, place)
        end = line.head
    refuse_cut_tail(end.count, max([least, *(head.count for head in wanted)]))
    if not told:
        raise BadState(f"{folder} begins at record {pruned.count + 1}, and no record says that it was pruned. {ADVICE}")
    return Verified(end, pruned)


def _begins_after(folder: Path, paths: list[Path]) -> Head:
    """As the files' names say, where there is a `pruned` that cannot be read without the key."""
    if not paths or not (folder / PRUNED_FILE).exists():
        return Head()
    first = first_seq(paths[0])
    return Head(first - 1, "") if first > 1 else Head()


def _tells(record: Record, pruned: Head) -> bool:
    return record.get("reason") == PRUNING and record.get("detail", {}).get("prune") == str(pruned)


def refuse_another(found: Head, known: Head, place: str) -> None:
    """Raises BadState when another record stands where `known` was."""
    if found.count == known.count and found != known:
        raise BadState(f"{place}: another record stood here. {ADVICE}")


def refuse_cut_tail(count: int, least: int) -> None:
    """count: records that are there. least: how many there have been. Raises BadState."""
    if count < least:
        raise BadState(f"The audit ends at record {count}, and {least} were written: its tail was cut off. {ADVICE}")
