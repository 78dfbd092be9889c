"""Erasing a person: from the store with all that names them, and for good, whatever a backup brings back.

What stays: the random id in a list of the erased, a receipt in the record of acts, and events without a name. The
list is kept in the store and in a file beside it; whoever is on it and turns up in the store again (an old store.db
was copied back) is erased again before anything is sent to a door.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from admin_ui.models import ErasedRow, EventRow, PersonRow
from admin_ui.owner import denied
from firmware_config.errors import BadState
from firmware_config.files import PRIVATE, sync_folder

ERASED_FILE: Final = "erased.txt"
ERASED_NAME: Final = "(erased)"
"""What stands in an event instead of the name."""

ERASED_IDS: Final = "erased_ids"
"""Key in Session.info: the ids that this transaction erased."""

ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Receipt:
    """What was erased; names nobody. number: random, to be quoted. doors: that have to forget as well."""

    number: str
    doors: tuple[str, ...]
    photos: int
    templates: int
    events: int

    @property
    def sentence(self) -> str:
        """For the person who asked for it, and for the record of acts."""
        return (
            f"Receipt {self.number}: {self.photos} photo(s), {self.templates} template(s) and the name in "
            f"{self.events} event(s) erased; doors to forget: {', '.join(self.doors) or 'none'}."
        )


def erase(session: Session, person: PersonRow) -> Receipt:
    """In the caller's transaction; the caller rolls the rosters of Receipt.doors and records the receipt."""
    receipt = Receipt(
        number=secrets.token_hex(4),
        doors=tuple(sorted(member.door_name for member in person.memberships)),
        photos=len(person.portraits),
        templates=sum(len(portrait.templates) for portrait in person.portraits),
        events=len(session.scalars(select(EventRow.id).where(EventRow.person_id == person.id)).all()),
    )
    of_this_person = update(EventRow).where(EventRow.person_id == person.id)
    session.execute(of_this_person.values(person=ERASED_NAME, person_id=""))
    if session.get(ErasedRow, person.id) is None:
        session.add(ErasedRow(person_id=person.id, at=datetime.now(timezone.utc)))
    session.info.setdefault(ERASED_IDS, []).append(person.id)
    session.delete(person)
    session.flush()
    return receipt


def erased_among(session: Session, person_ids: Iterable[str]) -> set[str]:
    """Those of these ids that were erased: an event about them may still be on its way."""
    return set(session.scalars(select(ErasedRow.person_id).where(ErasedRow.person_id.in_(list(person_ids)))))


class ErasedList:
    """The file beside the store: one id a line, only ever added to."""

    def __init__(self, state: Path) -> None:
        self._path = state / ERASED_FILE

    def see(self, written: Mapping[Any, Any]) -> None:
        """After a transaction: add the ids that it erased. written: its Session.info. Raises OSError."""
        self._add(written.get(ERASED_IDS, ()))

    def merge(self, session: Session) -> list[PersonRow]:
        """Make file and table alike -> people in the store who were erased before. Raises BadState, OSError."""
        in_file = self._read()
        in_store = set(session.scalars(select(ErasedRow.person_id)))
        for person_id in sorted(in_file - in_store):
            session.add(ErasedRow(person_id=person_id, at=datetime.now(timezone.utc)))
        session.flush()
        self._add(sorted(in_store - in_file))
        query = select(PersonRow).join(ErasedRow, ErasedRow.person_id == PersonRow.id).order_by(PersonRow.id)
        return list(session.scalars(query))

    def _read(self) -> set[str]:
        try:
            lines = self._path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return set()
        except PermissionError as error:
            raise denied(self._path, self._path.parent) from error
        except (OSError, UnicodeDecodeError) as error:
            raise BadState(f"The list of the erased, {self._path}, cannot be read ({error}). Restore it.") from error
        # A power cut may have left half a line; its id stands in the store as well.
        return {line for line in lines if ID.fullmatch(line)}

    def _add(self, person_ids: Iterable[str]) -> None:
        text = "".join(f"{person_id}\n" for person_id in person_ids)
        if not text:
            return
        existed = self._path.exists()
        # A line of its own first: what a power cut left half must not swallow the next id.
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE)
        with os.fdopen(handle, "wb") as stream:
            stream.write(b"\n" + text.encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())
        if not existed:
            sync_folder(self._path.parent)
