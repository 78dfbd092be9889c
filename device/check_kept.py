"""What the door keeps on its disk, looked at for `latchkey-device check`: state folder, key, audit, roster."""

from __future__ import annotations

import os
import stat
from typing import Final

from device.audit import glance
from device.finding import Finding
from device.ledger import audit_key
from device.plain_audit import PLAIN_FILE
from device.shelf import AUDIT_FOLDER, ROSTER
from firmware_config.errors import BadInput
from firmware_config.pairing import DOOR_KEY, DoorPairing, secret_path
from firmware_config.roster import open_roster
from firmware_config.settings import DoorSettings

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def look_at_state(settings: DoorSettings) -> Finding:
    """The state folder."""
    folder = settings.state
    if not folder.is_dir():
        return Finding("state", False, f"There is no folder {folder}.", "systemd makes it; by hand: mkdir -m 700.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("state", False, f"{folder} cannot be written.", "Run this as the user that the daemon runs as.")
    return Finding("state", True, f"{folder} is there and can be written.")


def look_at_key(settings: DoorSettings) -> Finding:
    """Where door.key comes from: roster, outbox and audit are sealed with it, or with keys derived from it."""
    path = secret_path(settings.pairing, DOOR_KEY)
    if path.parent != settings.pairing:
        return Finding("key", True, "door.key comes from systemd's credentials; what the door keeps is sealed with it.")
    if path.stat().st_mode & OTHERS:
        return Finding(
            "key",
            False,
            f"{path} can be read by others than its owner, and opens all that the door keeps.",
            f"chmod 600 {path}",
        )
    return Finding(
        "key",
        True,
        f"{path} opens what the door keeps; a copy of this disk has both.",
        "With the unit's LoadCredentialEncrypted and a TPM a copied disk opens nothing: docs/operations.md.",
    )


def look_at_audit(settings: DoorSettings, pairing: DoorPairing) -> Finding:
    """As a start looks at it: the newest records, and how the older files hang together."""
    if (settings.state / PLAIN_FILE).exists():
        return Finding(
            "audit",
            False,
            f"{settings.state / PLAIN_FILE} of version 0.1 lies there in plain and names people.",
            "Start the daemon: it seals it once and removes it.",
        )
    folder = settings.state / AUDIT_FOLDER
    if not folder.exists():
        return Finding("audit", True, "Nothing is recorded yet.")
    end = glance(folder, audit_key(pairing.door_key))
    return Finding(
        "audit", True, f"{end.count} records, sealed; the newest are whole. All: latchkey-device audit verify."
    )


def look_at_roster(settings: DoorSettings, pairing: DoorPairing) -> Finding:
    """Whether the list of people opens."""
    kept = settings.state / ROSTER
    if not kept.exists():
        return Finding(
            "roster",
            False,
            "This door knows nobody yet.",
            "Start the daemon and enrol somebody in the admin page; the roster comes over the broker.",
        )
    try:
        roster = open_roster(kept.read_bytes(), pairing.topics, pairing.site_key, pairing.door_key)
    except (OSError, BadInput) as error:
        return Finding(
            "roster",
            False,
            f"{kept} cannot be used: {error}",
            "Start the daemon with the broker up: the page's roster replaces it.",
        )
    nobody = "" if roster.people else " Nobody is let in: enrol somebody in the admin page."
    return Finding("roster", True, f"Generation {roster.generation}, {len(roster.people)} people.{nobody}")
