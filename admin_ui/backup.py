"""The whole site in one file, and back: the store at one moment, its keys and its encoders."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import IO, Final

from admin_ui.acts import HEAD_FILE
from admin_ui.erasure import ERASED_FILE
from admin_ui.keyring import Keyring
from admin_ui.store import STORE_FILE, open_store
from firmware_config.errors import BadInput, BadState
from firmware_config.files import PRIVATE, make_folder, sync_folder
from firmware_config.settings import AdminSettings

MANIFEST: Final = "backup.json"
FORMAT: Final = 1
FOLDER_MODE: Final = 0o700
UPLOADS: Final = "uploads"
"""Folder of the photos that browsers have just sent. They are not kept, so no backup has them."""

UNREADABLE: Final = (tarfile.TarError, EOFError, OSError, ValueError, KeyError, TypeError)
"""What tarfile, zlib and json raise for one damage or another."""


@dataclass(frozen=True)
class Backup:
    """site: its name. made: when. with_store: False where the store is a database server's, which has its own tools."""

    site: str
    made: datetime
    with_store: bool


def write_backup(settings: AdminSettings, out: IO[bytes]) -> Backup:
    """All of the state folder but its uploads into `out`, a gzipped tar, while the page may go on writing.

    Of the record of acts, its seen end is read before the store and the list of the erased after it: a copy may lack
    the last act, never have one that is said to be missing, nor somebody who was erased. Raises BadState, OSError.
    """
    state = settings.state
    if not (state / "keys").is_dir():
        raise BadState(f"There is no site in {state}. Name its settings with --settings.")
    made = Backup(settings.site, datetime.now(timezone.utc).replace(microsecond=0), not settings.store)
    told = {"format": FORMAT, "site": made.site, "made": made.made.isoformat(), "with_store": made.with_store}
    with (
        tempfile.TemporaryDirectory(prefix=".backup.", dir=state) as scratch,
        tarfile.open(fileobj=out, mode="w|gz") as archive,
    ):
        _put(archive, MANIFEST, json.dumps(told).encode())
        if (state / HEAD_FILE).exists():
            _put(archive, HEAD_FILE, (state / HEAD_FILE).read_bytes())
        if made.with_store:
            copy = Path(scratch) / STORE_FILE
            _copy_store(state / STORE_FILE, copy)
            archive.add(copy, STORE_FILE, filter=_nameless)
        for path in _others(state):
            archive.add(path, str(path.relative_to(state)), recursive=False, filter=_nameless)
    return made


def restore(settings: AdminSettings, source: IO[bytes]) -> tuple[Backup, Path | None]:
    """The state folder as it was -> what was restored, and where the folder that was there before is now.

    Nothing is touched before the whole file was read and its store and keys have opened. Whoever was erased since
    stays erased. Raises BadInput for what is no backup of this site, BadState, OSError.
    """
    state = settings.state
    make_folder(state.parent)
    fresh = Path(tempfile.mkdtemp(prefix=f".{state.name}.", dir=state.parent))
    try:
        made = _unpack(source, fresh)
        _check(made, settings, fresh)
        _keep_erased(state, fresh)
        before = _swap(state, fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return made, before


def _check(made: Backup, settings: AdminSettings, fresh: Path) -> None:
    """Is it of this site, and does it open? Raises BadInput, BadState."""
    if made.site != settings.site:
        raise BadInput(f"The backup is of the site {made.site!r}, the settings are of {settings.site!r}.")
    if made.with_store == bool(settings.store):
        raise BadInput("The backup and admin.toml differ in where the store is: in the state folder, or at `store`.")
    Keyring(fresh)
    if made.with_store:
        open_store("", fresh).close()


def _copy_store(store: Path, copy: Path) -> None:
    # VACUUM INTO copies one moment, and nothing of what was deleted.
    with contextlib.closing(sqlite3.connect(store)) as connection:
        try:
            connection.execute("VACUUM INTO ?", (str(copy),))
        except sqlite3.Error as error:
            raise BadState(f"The store {store} cannot be copied: {error}.") from error
    copy.chmod(PRIVATE)


def _others(state: Path) -> Iterator[Path]:
    for top in sorted(state.iterdir()):
        # Never looked into where it is left out: what is uploaded comes and goes meanwhile.
        if top.name.startswith((".", STORE_FILE)) or top.name in (HEAD_FILE, UPLOADS):
            continue
        for path in (top, *sorted(top.rglob("*"))):
            hidden = any(part.startswith(".") for part in path.relative_to(state).parts)
            if not hidden and (path.is_dir() or path.is_file()):
                yield path


def _put(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), PRIVATE
    archive.addfile(member, io.BytesIO(data))


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uname = member.gname = ""
    member.uid = member.gid = 0
    return member


def _unpack(source: IO[bytes], fresh: Path) -> Backup:
    made: Backup | None = None
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as archive:
            for member in archive:
                path, stream = _inside(member, fresh), archive.extractfile(member)
                if PurePosixPath(member.name).parts[:1] == (UPLOADS,):
                    continue  # an older version put them in
                if stream is None:
                    make_folder(path, FOLDER_MODE)
                elif member.name == MANIFEST:
                    made = _manifest(stream.read(4096))
                else:
                    _write(path, stream)
    except BadInput:
        raise
    except UNREADABLE as error:
        raise BadInput(f"This is no whole backup ({error}). Nothing was changed.") from error
    if made is None:
        raise BadInput("This is no backup: it does not say of which site. Nothing was changed.")
    return made


def _inside(member: tarfile.TarInfo, fresh: Path) -> Path:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise BadInput(f"{member.name!r} has no place in a backup. Nothing was changed.")
    return fresh / path


def _manifest(data: bytes) -> Backup:
    told = json.loads(data)
    if told["format"] != FORMAT:
        raise BadInput(f"The backup has format {told['format']}; this version reads {FORMAT}. Nothing was changed.")
    return Backup(str(told["site"]), datetime.fromisoformat(told["made"]), bool(told["with_store"]))


def _write(path: Path, stream: IO[bytes]) -> None:
    make_folder(path.parent, FOLDER_MODE)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(handle, "wb") as out:
        shutil.copyfileobj(stream, out)
        out.flush()
        os.fsync(out.fileno())


def _keep_erased(state: Path, fresh: Path) -> None:
    """The ids that were erased up to now, and not only up to the backup; the store takes them when it is opened."""
    now = state / ERASED_FILE
    if now.exists():
        with (fresh / ERASED_FILE).open("ab") as out:
            out.write(b"\n" + now.read_bytes())
            out.flush()
            os.fsync(out.fileno())
        (fresh / ERASED_FILE).chmod(PRIVATE)


def _swap(state: Path, fresh: Path) -> Path | None:
    """Whoever owned the folder owns what takes its place."""
    before: Path | None = None
    if state.exists():
        owner = state.stat()
        for path in (fresh, *fresh.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        if any(state.iterdir()):
            before = _free(state.with_name(f"{state.name}.before-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"))
            state.rename(before)
        else:
            state.rmdir()
    fresh.chmod(FOLDER_MODE)
    fresh.rename(state)
    sync_folder(state.parent)
    return before


def _free(path: Path) -> Path:
    names = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return path if not path.exists() else next(name for name in names if not name.exists())
