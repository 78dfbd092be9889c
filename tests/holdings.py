"""What a door runs, in few words."""

from __future__ import annotations

from device.roster import Holdings


def names(holdings: Holdings) -> list[str]:
    roster = holdings.active.roster
    return [person.name for person in roster.people] if roster else []


def running(holdings: Holdings) -> tuple[int, str, str, list[str]]:
    return (
        holdings.generation,
        holdings.active.manifest.encoder_id,
        holdings.active.manifest.version,
        names(holdings),
    )
