"""A disk that loses what was not synced: from the calls that a process made to what may be left after a power cut.

As little is promised as POSIX does (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014):

- data is on the disk after an fsync of its file. Before that any part of it may be: nothing, all, some of the sectors
  or pages in any order, or the new size with zeros where the data should be;
- a name (made, renamed, removed) is on the disk after an fsync of its folder, and of nothing else. Before that the
  first so many of a folder's changes are: in their order, as journals keep it, but each folder for itself;
- a rename within a folder is one change. A write within one sector is whole or not at all.

So a disk that this one allows may be worse than any that somebody uses.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.faults.power_log import Call, What

SECTOR = 512
PAGE = 4096
TOLD = "told"
"""The bench's own file (power_told.py): on the disk at once."""


@dataclass
class File:
    """safe: what an fsync has put on the disk. cache: what a reader sees. pending: (offset, data) and (size, None)."""

    safe: bytes = b""
    cache: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        _put(self.cache, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        _cut(self.cache, size)
        self.pending.append((size, None))

    def sync(self) -> None:
        self.safe = bytes(self.cache)
        self.pending.clear()

    def left(self, draw: random.Random) -> bytes:
        """What a power cut leaves of it."""
        if not self.pending or (how := draw.choice(("none", "all", "first", "some"))) == "none":
            return self.safe
        if how == "all":
            return bytes(self.cache)
        unit = draw.choice((SECTOR, PAGE))
        kept = bytearray(self.safe)
        count = draw.randint(0, len(self.pending)) if how == "first" else len(self.pending)
        for number, (offset, data) in enumerate(self.pending[: count + 1]):
            if data is None:
                if number < count and (how == "first" or draw.random() < 0.5):
                    _cut(kept, offset)
                continue
            for start, piece in _pieces(offset, data, unit):
                # "first": whole up to the write that the cut tore; "some": each piece by chance.
                if (how == "first" and number < count) or draw.random() < 0.5:
                    _put(kept, start, piece)
        if draw.random() < 0.5 and len(kept) < len(self.cache):
            _cut(kept, len(self.cache))
        return bytes(kept)


@dataclass
class Folder:
    """safe: names on the disk. cache: names that a reader sees. pending: changes, each (gone, name, what came)."""

    safe: dict[str, File | Folder] = field(default_factory=dict)
    cache: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[tuple[str, str, File | Folder | None]] = field(default_factory=list)

    def change(self, gone: str, name: str, came: File | Folder | None) -> None:
        _rename(self.cache, gone, name, came)
        self.pending.append((gone, name, came))

    def sync(self) -> None:
        self.safe = dict(self.cache)
        self.pending.clear()

    def left(self, draw: random.Random) -> dict[str, File | Folder]:
        names = dict(self.safe)
        count = draw.choice((0, len(self.pending), draw.randint(0, len(self.pending))))
        for change in self.pending[:count]:
            _rename(names, *change)
        return names


class Disk:
    """One folder's. file_sync, folder_sync: False for the controls, where an fsync of that kind does nothing."""

    def __init__(self, begin: Path, *, file_sync: bool = True, folder_sync: bool = True) -> None:
        """begin: a folder; all that is in it is safe."""
        self._file_sync, self._folder_sync = file_sync, folder_sync
        self.root = _load(begin)
        self._by_inode: dict[int, File | Folder] = {}
        self._index(begin, self.root)

    def play(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._do(call)

    def lose_power(self, draw: random.Random, into: Path) -> None:
        """One of the states that a power cut may leave, as files in `into`, which is made anew."""
        _save(self.root, into, draw)

    def lose_nothing(self, into: Path) -> None:
        """What a killed process leaves on a machine that goes on."""
        _save(self.root, into, None)

    def _do(self, call: Call) -> None:
        parent, name = self._folder(call.path.parent), call.path.name
        if call.what is What.CREATE or call.what is What.MKDIR:
            made = self._by_inode[call.inode] = File() if call.what is What.CREATE else Folder()
            parent.change("", name, made)
        elif call.what is What.UNLINK:
            parent.change(name, "", None)
        elif call.what is What.RENAME:
            assert call.other.parent == call.path.parent, f"{call.path} went to another folder, which is not played"
            parent.change(name, call.other.name, parent.cache[name])
        else:
            self._touch(call)

    def _touch(self, call: Call) -> None:
        found = self._by_inode[call.inode]
        if isinstance(found, Folder):
            assert call.what is What.SYNC
            if self._folder_sync:
                found.sync()
        elif call.what is What.WRITE:
            found.write(call.offset, call.data)
        elif call.what is What.TRUNCATE:
            found.truncate(call.offset)
        elif self._file_sync:
            found.sync()
        if call.path.name == TOLD and isinstance(found, File):
            found.sync()

    def _folder(self, path: Path) -> Folder:
        folder = self.root
        for part in path.parts:
            inner = folder.cache[part]
            assert isinstance(inner, Folder)
            folder = inner
        return folder

    def _index(self, path: Path, found: File | Folder) -> None:
        self._by_inode[path.stat().st_ino] = found
        if isinstance(found, Folder):
            for name, inner in found.cache.items():
                self._index(path / name, inner)


def _load(path: Path) -> Folder:
    folder = Folder()
    for inner in path.iterdir():
        if inner.name.endswith("-shm"):
            continue
        data = b"" if inner.is_dir() else inner.read_bytes()
        folder.cache[inner.name] = _load(inner) if inner.is_dir() else File(data, bytearray(data))
    folder.sync()
    return folder


def _save(folder: Folder, into: Path, draw: random.Random | None) -> None:
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(mode=0o700, parents=True)
    for name, inner in sorted((folder.left(draw) if draw else folder.cache).items()):
        if isinstance(inner, Folder):
            _save(inner, into / name, draw)
        else:
            (into / name).write_bytes(inner.left(draw) if draw else bytes(inner.cache))
            (into / name).chmod(0o600)


def _rename(names: dict[str, File | Folder], gone: str, name: str, came: File | Folder | None) -> None:
    names.pop(gone, None)
    if came is not None:
        names[name] = came


def _put(data: bytearray, offset: int, piece: bytes) -> None:
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(piece)] = piece


def _cut(data: bytearray, size: int) -> None:
    del data[size:]
    data.extend(bytes(size - len(data)))


def _pieces(offset: int, data: bytes, unit: int) -> list[tuple[int, bytes]]:
    """A write as the disk sees it: cut where a sector or a page ends."""
    cuts = [offset, *range((offset // unit + 1) * unit, offset + len(data), unit), offset + len(data)]
    return [(a, data[a - offset : b - offset]) for a, b in pairwise(cuts)]
