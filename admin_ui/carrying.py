"""What is carried to a door and to its lock: a folder for each, with all that they are given once.

door/    pairing.toml, site.pub, door.key, lock.key, and for a broker with TLS ca.crt, mqtt.crt, mqtt.key
lock/    pairing.toml, lock.key, the same three, and secrets.yaml: all of it again as the ESPHome firmware reads it
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

from admin_ui.authority import CERTIFICATE_LASTS, Authority, Role
from admin_ui.keyring import DoorKeys
from firmware_config.files import write_atomic
from firmware_config.keys import SecretKey, VerifyKey
from firmware_config.messages import Topics
from firmware_config.pairing import LOCK_KEY, write_pairing
from firmware_config.settings import BrokerSettings

SECRETS: Final = "secrets.yaml"


def carry(
    folder: Path,
    topics: Topics,
    keys: DoorKeys,
    site_key: VerifyKey,
    brokers: tuple[BrokerSettings, BrokerSettings],
    authority: Authority | None,
    lasts: timedelta = CERTIFICATE_LASTS,
) -> None:
    """`door` and `lock` below `folder`. brokers: as the door and as the lock reach it.

    authority: none where the site has no certificates. A broker that is reached without TLS, or with a user and a
    password, is given none. Raises BadState, OSError.
    """
    door_broker, lock_broker = brokers
    write_part(folder / "door", topics, door_broker, (authority, Role.DOOR, lasts), keys.lock, site_key, keys.door)
    lock = folder / "lock"
    certified = write_part(lock, topics, lock_broker, (authority, Role.LOCK, lasts), keys.lock)
    if certified:
        write_atomic(lock / SECRETS, _secrets(lock, topics, lock_broker).encode())


def write_part(
    folder: Path,
    topics: Topics,
    broker: BrokerSettings,
    certified: tuple[Authority | None, Role, timedelta],
    lock_key: SecretKey,
    site_key: VerifyKey | None = None,
    door_key: SecretKey | None = None,
) -> bool:
    """One of the two -> whether it has a certificate of its own. Raises BadState, OSError."""
    authority, role, lasts = certified
    if authority is None or not broker.tls or broker.username:
        write_pairing(folder, topics, broker, lock_key, site_key, door_key)
        return False
    # Private from the first moment, and gone however this ends.
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        certificate, key, ca = made / "crt", made / "key", made / "ca"
        authority.issue(role, topics.door, lasts=lasts).save(certificate, key)
        ca.write_bytes(authority.certificate)
        files = {"cert_file": certificate, "key_file": key, "ca_file": broker.ca_file or ca}
        write_pairing(folder, topics, broker.model_copy(update=files), lock_key, site_key, door_key)
    return True


def _secrets(lock: Path, topics: Topics, broker: BrokerSettings) -> str:
    """ESPHome's secrets.yaml. Wi-Fi is the one thing that the office does not know."""
    lines = [
        "# Read by firmware_config/lock/esphome.yaml. Fill in the two lines about Wi-Fi.",
        "wifi_ssid: your-network",
        "wifi_password: your-password",
        # Quoted: to YAML 0101 is a number and `no` is false, and the lock would be another door's.
        f'site: "{topics.site}"',
        f'door: "{topics.door}"',
        f'lock_key: "{(lock / LOCK_KEY).read_text(encoding="ascii").strip()}"',
        f'mqtt_broker: "{broker.host}"',
        f"mqtt_port: {broker.port}",
    ]
    for name, file in (("mqtt_ca", "ca.crt"), ("mqtt_certificate", "mqtt.crt"), ("mqtt_key", "mqtt.key")):
        pem = (lock / file).read_text(encoding="ascii")
        lines += [f"{name}: |", *(f"  {line}" for line in pem.splitlines())]
    return "\n".join(lines) + "\n"
