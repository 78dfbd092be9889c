"""An encoder that some doors run ahead of the one in force: tried at one door first, or with lists of the one before.

The encoder in force makes everybody's templates and measures every threshold of the page. Ahead of it runs at most one
more. A door that runs it has a list of its own templates, or, where its bundle proves that it may be compared with the
encoder in force and somebody has no template for it, the list that it had (`carried`). Pure store work, no network.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui.models import DoorRow, ModelRow, OptionRow
from admin_ui.store import utc_now
from firmware_config.bundle import Manifest

AHEAD: Final = "ahead"
TRIED: Final = "tried"
SINCE: Final = "measured_since"


class Ahead(BaseModel):
    """doors: that run it. carried: with lists of the encoder in force. since: aware, UTC, when the first door was told.
    before: door -> its policy until then, and after: the one that it was given."""

    encoder_id: str
    name: str
    version: str
    doors: list[str]
    since: datetime
    carried: bool = False
    before: dict[str, dict[str, Any]] = {}
    after: dict[str, dict[str, Any]] = {}

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


def fresh_ahead(manifest: Manifest, *, carried: bool) -> Ahead:
    """Of a bundle that runs at no door yet."""
    name, version = manifest.name, manifest.version
    return Ahead(encoder_id=manifest.encoder_id, name=name, version=version, doors=[], since=utc_now(), carried=carried)


def ahead(session: Session) -> Ahead | None:
    """None: all doors run the encoder in force."""
    row = session.get(OptionRow, AHEAD)
    return Ahead.model_validate(row.value) if row is not None and row.value else None


def put_ahead(session: Session, value: Ahead | None) -> None:
    """In the caller's transaction; its version is remembered as one that doors have run."""
    session.merge(OptionRow(key=AHEAD, value=value.model_dump(mode="json") if value is not None else None))
    if value is not None:
        session.merge(OptionRow(key=TRIED, value={**tried(session), value.encoder_id: value.version}))
    session.flush()


def tried(session: Session) -> dict[str, str]:
    """encoder_id -> version of each that ran ahead at some door, whatever became of it: those doors take no lower one
    without being told that they may."""
    row = session.get(OptionRow, TRIED)
    return dict(row.value) if row is not None and row.value else {}


def versions_run(session: Session) -> dict[str, str]:
    """encoder_id -> the version that was in force, or tried."""
    return tried(session) | {row.encoder_id: row.version for row in session.scalars(select(ModelRow))}


def exchanged(session: Session, doors: Iterable[str]) -> None:
    """From now on these doors measure on another scale; in the caller's transaction."""
    now = utc_now().isoformat()
    session.merge(OptionRow(key=SINCE, value={**_exchanges(session), **dict.fromkeys(doors, now)}))
    session.flush()


def measured_since(session: Session, door: str) -> datetime | None:
    """Since when a door's distances are of the encoder that it shall run now; None: they always were. Aware, UTC."""
    since = _exchanges(session).get(door)
    return datetime.fromisoformat(since) if since is not None else None


def _exchanges(session: Session) -> dict[str, str]:
    row = session.get(OptionRow, SINCE)
    return dict(row.value) if row is not None and row.value else {}


def model_of(session: Session, door: DoorRow) -> str:
    """encoder_id that this door shall run: its list's, unless another carries that list."""
    now = ahead(session)
    return now.encoder_id if now is not None and now.carried and door.name in now.doors else door.encoder_id
