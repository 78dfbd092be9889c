"""The office's keys, all in one folder that nobody else may read.

site.key            signs rosters and bundles
store.key           seals crops and templates in the store
session.key         signs the page's cookies
doors/NAME/         door.key, lock.key: shared with that door and its lock
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware_config.errors import BadState
from firmware_config.keys import SecretKey, SigningKey
from firmware_config.messages import Topics
from firmware_config.pairing import DOOR_KEY, LOCK_KEY, write_pairing
from firmware_config.settings import BrokerSettings

SITE_KEY: Final = "site.key"
STORE_KEY: Final = "store.key"
SESSION_KEY: Final = "session.key"
SESSION_CONTEXT: Final = b"latchkey-session-1"


@dataclass(frozen=True)
class DoorKeys:
    """What the office shares with one door and its lock."""

    door: SecretKey
    lock: SecretKey


class Keyring:
    """Reads keys once, makes them when asked to. Safe to use from any thread."""

    def __init__(self, state: Path) -> None:
        """state: the page's state folder; keys lie in `keys` below it. Raises BadState where they are missing."""
        self._folder = state / "keys"
        if not (self._folder / SITE_KEY).exists():
            raise BadState(f"There are no keys in {self._folder}. Run `latchkey-admin init` first.")
        self.site = SigningKey.load(self._folder / SITE_KEY)
        self.store = SecretKey.load(self._folder / STORE_KEY)
        self._session = SecretKey.load(self._folder / SESSION_KEY)
        self._doors: dict[str, DoorKeys] = {}
        self._lock = threading.Lock()

    @classmethod
    def make(cls, state: Path) -> Keyring:
        """The keyring in `state`; keys that are missing are made, those that are there are kept. Raises OSError."""
        folder = state / "keys"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
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
            if name not in self._doors:
                folder = self._door_folder(name)
                self._doors[name] = DoorKeys(SecretKey.load(folder / DOOR_KEY), SecretKey.load(folder / LOCK_KEY))
            return self._doors[name]

    def make_door(self, name: str) -> DoorKeys:
        """Keys for a door; those that are there already are kept: a half-made door is finished. Raises OSError."""
        folder = self._door_folder(name)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for key in (DOOR_KEY, LOCK_KEY):
            if not (folder / key).exists():
                SecretKey.generate().save(folder / key)
        return self.door(name)

    def write_folders(self, folder: Path, topics: Topics, broker: BrokerSettings, lock_broker: BrokerSettings) -> None:
        """What is carried to a door and to its lock: `door` and `lock` below `folder`. Raises BadState, OSError."""
        keys = self.door(topics.door)
        write_pairing(folder / "door", topics, broker, keys.lock, self.site.public, keys.door)
        write_pairing(folder / "lock", topics, lock_broker, keys.lock)

    def _door_folder(self, name: str) -> Path:
        return self._folder / "doors" / Topics("site", name).door
