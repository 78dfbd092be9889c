"""The pairing folder: what a door, or its lock, is given once so that the page and it know each other.

    pairing.toml    site, door and broker: nothing secret
    site.pub        public key that rosters and bundles are signed with (door only)
    door.key        shared by page and door: seals what passes between them (door only)
    lock.key        shared by door and lock: makes and checks commands
    mqtt.password   where the broker asks for one
    ca.crt          the authority that the broker's certificate is from, with TLS
    mqtt.crt, mqtt.key    our certificate at the broker and its private key, where the site has certificates

Under systemd the secret files come through LoadCredential; $CREDENTIALS_DIRECTORY is looked at first.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field

from firmware_config.errors import BadState
from firmware_config.files import PRIVATE, PUBLIC, drop_half_written, make_folder, write_atomic
from firmware_config.keys import SecretKey, VerifyKey
from firmware_config.messages import NAME_PATTERN, Topics
from firmware_config.schema import Section, read_toml, validate
from firmware_config.settings import BrokerSettings

PAIRING: Final = "pairing.toml"
SITE_PUBLIC: Final = "site.pub"
DOOR_KEY: Final = "door.key"
LOCK_KEY: Final = "lock.key"
PASSWORD: Final = "mqtt.password"  # noqa: S105  # a file's name
AUTHORITY: Final = "ca.crt"
CERTIFICATE: Final = "mqtt.crt"
CERTIFICATE_KEY: Final = "mqtt.key"


class PairingFile(Section):
    """pairing.toml."""

    site: str = Field(pattern=NAME_PATTERN)
    door: str = Field(pattern=NAME_PATTERN)
    broker: BrokerSettings = BrokerSettings()


@dataclass(frozen=True)
class LockPairing:
    """What a lock needs."""

    topics: Topics
    broker: BrokerSettings
    lock_key: SecretKey


@dataclass(frozen=True)
class DoorPairing(LockPairing):
    """What a door needs."""

    site_key: VerifyKey
    door_key: SecretKey


def secret_path(folder: Path, name: str) -> Path:
    """The file `name`, from systemd's credentials where it is there, otherwise from the pairing folder."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    loaded = Path(credentials) / name
    return loaded if credentials and loaded.exists() else folder / name


def load_lock(folder: Path) -> LockPairing:
    """Raises SettingsRefused, BadState."""
    pairing = _read(folder)
    return LockPairing(
        topics=Topics(pairing.site, pairing.door),
        broker=_broker(pairing.broker, folder),
        lock_key=SecretKey.load(secret_path(folder, LOCK_KEY)),
    )


def load_door(folder: Path) -> DoorPairing:
    """Raises SettingsRefused, BadState."""
    lock = load_lock(folder)
    return DoorPairing(
        topics=lock.topics,
        broker=lock.broker,
        lock_key=lock.lock_key,
        site_key=VerifyKey.load(secret_path(folder, SITE_PUBLIC)),
        door_key=SecretKey.load(secret_path(folder, DOOR_KEY)),
    )


def write_pairing(
    folder: Path,
    topics: Topics,
    broker: BrokerSettings,
    lock_key: SecretKey,
    site_key: VerifyKey | None = None,
    door_key: SecretKey | None = None,
) -> None:
    """Make a door's folder, or a lock's when site_key and door_key are left out. Raises OSError."""
    make_folder(folder, mode=0o700)
    drop_half_written(folder)
    lines = [f'site = "{topics.site}"', f'door = "{topics.door}"', "", "[broker]"]
    lines += [f"url = {_toml_string(broker.url)}", f"keepalive_s = {broker.keepalive_s}"]
    if broker.username:
        lines.append(f"username = {_toml_string(broker.username)}")
    carried = (
        ("password_file", broker.password_file, PASSWORD, PRIVATE),
        ("ca_file", broker.ca_file, AUTHORITY, PUBLIC),
        ("cert_file", broker.cert_file, CERTIFICATE, PUBLIC),
        ("key_file", broker.key_file, CERTIFICATE_KEY, PRIVATE),
    )
    for setting, source, name, mode in carried:
        if source is not None:
            write_atomic(folder / name, source.read_bytes(), mode=mode)
            lines.append(f'{setting} = "{name}"')
    lock_key.save(folder / LOCK_KEY)
    if site_key is not None:
        site_key.save(folder / SITE_PUBLIC)
    if door_key is not None:
        door_key.save(folder / DOOR_KEY)
    write_atomic(folder / PAIRING, ("\n".join(lines) + "\n").encode(), mode=PUBLIC)


def _toml_string(text: str) -> str:
    """JSON's escapes are TOML's, but for DEL, which TOML wants escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _read(folder: Path) -> PairingFile:
    path = folder / PAIRING
    if not path.exists():
        raise BadState(
            f"This door is not paired: there is no {path}. Run `latchkey-admin door add NAME` where the page "
            "runs and copy the folder that it makes to here."
        )
    return validate(PairingFile, read_toml(path), path)


def _broker(broker: BrokerSettings, folder: Path) -> BrokerSettings:
    def placed(path: Path | None) -> Path | None:
        return None if path is None else path if path.is_absolute() else secret_path(folder, str(path))

    return broker.model_copy(
        update={name: placed(getattr(broker, name)) for name in ("password_file", "ca_file", "cert_file", "key_file")}
    )
