"""One door as the page shows it: the store's row and what the door has said, put into sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from admin_ui.journal import AuditSeen
from admin_ui.models import DoorRow
from admin_ui.presence import Presence
from admin_ui.sentences import at_the_door
from admin_ui.views import DoorView
from firmware_config.messages import Applied, LockState
from firmware_config.roster import Policy

CAMERA_OK = "ok"


def door_view(row: DoorRow, people: int, seen: Presence, why_down: str, ending: Sequence[str] = ()) -> DoorView:
    """people: how many may use this door. why_down: "" while the page is connected to the broker. ending: sentences
    about its certificates."""
    applied = applied_at(row, seen)
    online = seen.online and not why_down
    policy = Policy.model_validate(row.policy)
    return DoorView(
        name=row.name,
        online=online,
        generation=row.generation,
        applied_generation=applied.generation if applied else 0,
        people=people,
        encoder_id=applied.encoder_id if applied else "",
        model_version=applied.model_version if applied else "",
        tau=policy.tau,
        lock=seen.lock,
        refused=_refusal(applied),
        problems=(*_problems(row, seen, applied, why_down), *ending),
        health=seen.health,
        locked_down=policy.locked_down,
        notes=_notes(applied),
    )


def applied_at(row: DoorRow, seen: Presence) -> Applied | None:
    """What a door says that it runs; None: it has never said."""
    return seen.applied or (Applied.model_validate(row.applied) if row.applied else None)


def _notes(applied: Applied | None) -> tuple[str, ...]:
    if applied is None or not applied.roster_encoder:
        return ()
    sentence = (
        f"The door has the new encoder ({applied.model_version}) and keeps the list that was made with the one before, "
        "which it may be compared with, until the new list has come. Nobody must be enrolled again."
    )
    return (sentence,)


def _refusal(applied: Applied | None) -> str:
    if applied is None or not applied.refused:
        return ""
    return applied.refused_why or at_the_door(applied.refused)


def _problems(row: DoorRow, seen: Presence, applied: Applied | None, why_down: str) -> list[str]:
    alarm = AuditSeen.model_validate(row.audit).alarm
    return [*([alarm] if alarm else []), *_troubles(row, seen, applied, why_down)]


def _troubles(row: DoorRow, seen: Presence, applied: Applied | None, why_down: str) -> list[str]:
    if why_down:
        return [f"The page has no connection to the broker: {why_down}. What the door does now is not known."]
    if not seen.online:
        return ["The door is offline. It may still open for the people it knows; look at its power and network."]
    problems: list[str] = []
    if seen.lock == LockState.JAMMED.value:
        problems.append("The lock is jammed. Look at the bolt and the strike.")
    if seen.health is not None:
        if seen.health.camera != CAMERA_OK:
            problems.append(seen.health.camera_why or at_the_door("camera_lost"))
        problems += [problem for problem in seen.health.problems if problem not in problems]
        if seen.health.guard:
            problems.append(at_the_door("under_guard"))
    if refusal := _refusal(applied):
        problems.append(f"The door refused what was sent last: {refusal}")
    generation = applied.generation if applied else 0
    if generation > row.generation:
        problems.append(
            f"The door runs list {generation}, newer than any that this page has sent ({row.generation}): the "
            "page's store is older than the door. Restore its newest backup."
        )
    elif generation < row.generation:
        problems.append(f"The door runs list {generation}; list {row.generation} is on its way.")
    return problems
