"""Whose a site is: the page's user. Root may write in its folder, and what root leaves there the page cannot read."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from firmware_config.errors import BadInput, DiskFault

ROOT: Final = 0


def refuse_root(state: Path, words: Sequence[str]) -> None:
    """state: the state folder, which may be missing. words: the command's, given back with the right user before them.

    Raises BadInput where root works on a site of somebody else.
    """
    if os.geteuid() != ROOT:
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        owner = state.stat()
        if owner.st_uid != ROOT:
            user = _name(owner.st_uid)
            switch = f"runuser -u {user} --"
            if user.isdecimal():
                switch = f"setpriv --reuid={user} --regid={owner.st_gid} --clear-groups"
            raise BadInput(f"This site belongs to {user}: {switch} latchkey-admin {shlex.join(words)}")


def give_back(state: Path) -> None:
    """After root has worked in the state folder: all in it is its owner's. Raises OSError."""
    owner = state.stat()
    if os.geteuid() == ROOT and owner.st_uid != ROOT:
        for path in state.rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def whose(path: Path) -> str:
    """To whom a file belongs that may not be read, or the folder on the way to it; "" where it is our own."""
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner == os.geteuid():
            return ""
        return f"{place} belongs to {_name(owner)}, and this is {_name(os.geteuid())}."
    return ""


def denied(path: Path, state: Path) -> DiskFault:
    """For a file of the state folder that may not be read."""
    told, folder = f"{path} may not be read. {whose(path)}".rstrip(), shlex.quote(str(state))
    return DiskFault(f"{told} As root: chown -R --reference={folder} {folder}")


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
