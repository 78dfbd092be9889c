"""The door's audit as the bench reads it: each event's record, whole chain checked."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from device.audit import read
from device.ledger import audit_key
from device.shelf import AUDIT_FOLDER
from firmware_config.keys import SecretKey
from tests.faults.clock import WallClock
from tests.faults.judge import Grant


def records(state: Path, door_key: SecretKey) -> list[dict[str, Any]]:
    """Every record of a door's audit, oldest first. Raises BadState where the chain is broken."""
    return list(read(state / AUDIT_FOLDER, audit_key(door_key)))


def event_ids(found: list[dict[str, Any]]) -> list[str]:
    """Ids of the events in the audit, in order."""
    return [record["event"] for record in found if record["kind"] == "event"]


def grants(found: list[dict[str, Any]], clock: WallClock) -> list[Grant]:
    """The grants among records, at their true times. clock: the door's, which may have jumped."""
    return [
        Grant(
            sent_at=clock.true_time(datetime.fromisoformat(record["at"]).timestamp()),
            evidence_s=record["detail"]["stage_ms"]["frame_to_unlock"] / 1000,
            scene=record["detail"].get("scene", ""),
        )
        for record in found
        if record["kind"] == "event" and record["outcome"] == "granted"
    ]
