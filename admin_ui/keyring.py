"""The office's keys, all in one folder that nobody else may read.

site.key            signs rosters and bundles
store.key           seals crops and templates in the store
session.key         signs the page's cookies
doors/NAME/         door.key, lock.key: shared with that door and its lock
ca/                 the site's certificate authority (authority.py)
page/               the page's own certificate at the broker: mqtt.crt, mqtt.key
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from admin_ui.authority import CA_CERTIFICATE, Authority
from admin_ui.owner import denied
from firmware_config.errors import BadState
from firmware_config.files import is_missing, make_folder, sync_folder
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from firmware_config.pairing import DOOR_KEY, LOCK_KEY

KEYS: Final = "keys"
"""Folder in the page's state folder."""
SITE_KEY: Final = "site.key"
STORE_KEY: Final = "store.key"
SESSION_KEY: Final = "session.key"
AUTHORITY_FOLDER: Final = "ca"
PAGE_FOLDER: Final = "page"
SESSION_CONTEXT: Final = b"latchkey-session-1"


@dataclass(frozen=True)
class DoorKeys:
    """What the office shares with one door and its lock."""

    door: SecretKey
    lock: SecretKey


class Keyring:
    """Reads keys once, and a door's again where another process has made it anew; makes them when asked to. Safe to use
    from any thread."""

    def __init__(self, state: Path) -> None:
        """state: the page's state folder; keys lie in `keys` below it. Raises BadState where they are missing,
        DiskFault where they may not be read."""
        self._folder = state / KEYS
        if is_missing(self._folder / SITE_KEY):
            raise BadState(f"There are no keys in {self._folder}. Run `latchkey-admin init` first.")
        if not os.access(self._folder / SITE_KEY, os.R_OK):
            raise denied(self._folder / SITE_KEY, state)
        self.site = SigningKey.load(self._folder / SITE_KEY)
        self.store = SecretKey.load(self._folder / STORE_KEY)
        self._session = SecretKey.load(self._folder / SESSION_KEY)
        self._doors: dict[str, tuple[object, DoorKeys]] = {}
        """With what tells its files from those of a later door of that name."""
        self._lock = threading.Lock()

    @classmethod
    def make(cls, state: Path) -> Keyring:
        """The keyring in `state`; keys that are missing are made, those that are there are kept. Raises OSError."""
        folder = state / KEYS
        make_folder(folder, mode=0o700)
        for name in (STORE_KEY, SESSION_KEY):
            if not (folder / name).exists():
                SecretKey.generate().save(folder / name)
        if not (folder / SITE_KEY).exists():
            SigningKey.generate().save(folder / SITE_KEY)
        return cls(state)

    @property
    def session_bytes(self) -> bytes:
        """32 bytes for signing cookies, derived so that the key itself signs nothing else."""
        return bytes.fromhex(self._session.mac(SESSION_CONTEXT))

    def door(self, name: str) -> DoorKeys:
        """Raises BadState where there are none. name: checked here, since it becomes a folder's name."""
        with self._lock:
            folder = self._door_folder(name)
            if not folder.exists():
                # Perhaps revoked meanwhile, by a command beside this page.
                self._doors.pop(name, None)
                raise BadState(f"There are no keys for a door {name!r}. Was it revoked? `latchkey-admin door list`.")
            files = (folder / DOOR_KEY, folder / LOCK_KEY)
            made = [_identity(file) for file in files]
            known = self._doors.get(name)
            if known is None or known[0] != made:
                known = self._doors[name] = (made, DoorKeys(*(SecretKey.load(file) for file in files)))
            return known[1]

    def make_door(self, name: str) -> DoorKeys:
        """Keys for a door; those that are there already are kept: a half-made door is finished. Raises OSError."""
        folder = self._door_folder(name)
        make_folder(folder, mode=0o700)
        for key in (DOOR_KEY, LOCK_KEY):
            if not (folder / key).exists():
                SecretKey.generate().save(folder / key)
        return self.door(name)

    def has_door(self, name: str) -> bool:
        """True from make_door to forget_door."""
        return self._door_folder(name).exists()

    def gave(self, name: str, folder: Path) -> bool:
        """True where the folder holds this door's key, so that it is a pairing of ours."""
        try:
            return (folder / DOOR_KEY).read_bytes() == (self._door_folder(name) / DOOR_KEY).read_bytes()
        except OSError:
            return False

    def forget_door(self, name: str) -> None:
        """Destroy what the office shares with a door: what it sealed opens for nobody here. Raises OSError."""
        folder = self._door_folder(name)
        with self._lock:
            self._doors.pop(name, None)
            if folder.exists():
                shutil.rmtree(folder)
                sync_folder(folder.parent)

    def authority(self, site: str) -> Authority:
        """Raises BadState where there is none: a site that was founded by version 0.1."""
        return Authority(self._folder / AUTHORITY_FOLDER, site)

    @property
    def has_authority(self) -> bool:
        """False for a site that was founded by version 0.1, until `init` is run again."""
        return (self._folder / AUTHORITY_FOLDER / CA_CERTIFICATE).exists()

    def _door_folder(self, name: str) -> Path:
        return self._folder / "doors" / Topics("site", name).door


def _identity(file: Path) -> tuple[int, int] | None:
    """Of a file that is written whole and never changed."""
    try:
        found = file.stat()
    except OSError:
        return None  # whoever reads it next says what is wrong
    return found.st_ino, found.st_mtime_ns
