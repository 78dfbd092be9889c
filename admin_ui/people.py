"""People in the store: found, shown, named, and the doors that they may use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, selectinload

from admin_ui.given import text
from admin_ui.models import NAME_LENGTH, DoorRow, MembershipRow, PersonRow, PortraitRow
from admin_ui.portraits import new_portrait
from admin_ui.store import JOINERS, find_door, name_key, new_id, utc_now
from admin_ui.views import PeopleQuery, PersonView, Verdict
from firmware_config.errors import BadInput
from firmware_config.keys import SecretKey

MOST_SHOWN: Final = 500
"""Rows of people at once: more nobody reads, and a browser takes long to draw."""
MOST_PHOTOS: Final = 5
"""Of one person. A roster takes 20; each further one also makes strangers a little likelier to pass."""

LOOSE_JOINERS: Final = re.compile(rf"(?<![^\s{JOINERS}])[{JOINERS}]+")
"""Those at the beginning of a word. Within and after letters they say how these are written."""


def clean_name(name: str) -> str:
    """Spaces tidied, accents composed (NFC), joiners only where they follow a letter. Raises BadInput."""
    tidy = " ".join(LOOSE_JOINERS.sub("", unicodedata.normalize("NFC", name)).split())
    if not tidy:
        raise BadInput("The name is missing. Write the name that the log shall show.")
    unseen = next((letter for letter in tidy if letter not in JOINERS and not letter.isprintable()), "")
    if unseen:
        raise BadInput(f"The name holds a character that is not printable (U+{ord(unseen):04X}). Type it anew.")
    if len(tidy) > NAME_LENGTH:
        raise BadInput(f"A name has at most {NAME_LENGTH} characters; shorten it.")
    return tidy


def view(row: PersonRow) -> PersonView:
    """A row with its memberships and portraits -> what is shown."""
    return PersonView(
        id=row.id,
        name=row.name,
        doors=tuple(sorted(member.door_name for member in row.memberships)),
        created=row.created,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        suspended=bool(row.suspended),
        consent_at=row.consent_at,
        consent_version=row.consent_version or 0,
        photos=len(row.portraits),
        kept=any(portrait.kept for portrait in row.portraits),
        revision=row.revision or 1,
    )


def shown() -> Select[PersonRow]:
    """Rows with all that `view` reads."""
    return select(PersonRow).options(selectinload(PersonRow.memberships), selectinload(PersonRow.portraits))


def all_people(session: Session) -> list[PersonView]:
    """By name."""
    return [view(row) for row in session.scalars(shown().order_by(PersonRow.name_key))]


def find_people(session: Session, wanted: PeopleQuery, now: datetime) -> tuple[list[PersonView], int]:
    """-> at most wanted.limit of them, and how many there are in all. now: aware. Raises BadInput."""
    for said in (wanted.text, wanted.door, wanted.state, wanted.order):
        text(said, "What to look for")
    if wanted.state not in STATES or wanted.order not in ORDERS:
        raise BadInput("People cannot be shown in that order or state. Reload the page.")
    rules = list(STATES[wanted.state](now))
    if wanted.text.strip():
        rules.append(PersonRow.name_key.contains(name_key(wanted.text), autoescape=True))
    if wanted.door:
        rules.append(PersonRow.memberships.any(MembershipRow.door_name == wanted.door))
    total = session.scalar(select(func.count()).select_from(PersonRow).where(*rules)) or 0
    query = shown().where(*rules).order_by(*ORDERS[wanted.order], PersonRow.name_key)
    return [view(row) for row in session.scalars(query.limit(max(1, min(wanted.limit, MOST_SHOWN))))], total


STATES: Final[Mapping[str, Callable[[datetime], Iterable[ColumnElement[bool]]]]] = {
    "": lambda _now: [],
    "suspended": lambda _now: [PersonRow.suspended.is_(True)],
    "over": lambda now: [PersonRow.valid_until <= now],
    "not yet": lambda now: [PersonRow.valid_from > now],
    "no door": lambda _now: [~PersonRow.memberships.any()],
    "no consent": lambda _now: [PersonRow.consent_at.is_(None)],
}
"""What people can be filtered by, each the rules of a query."""
ORDERS: Final[Mapping[str, tuple[Any, ...]]] = {
    "name": (),
    "newest": (PersonRow.created.desc(),),
    "ends first": (PersonRow.valid_until.is_(None), PersonRow.valid_until),
}


def check_name_free(session: Session, name: str) -> None:
    """Raises BadInput where somebody has this name, however it is written."""
    taken = session.scalar(select(PersonRow.name).where(PersonRow.name_key == name_key(name)))
    if taken is not None:
        raise BadInput(already_named(taken))


def already_named(taken: str) -> str:
    """A sentence that refuses a name. taken: as it is written where it was enrolled."""
    return f"There is already somebody named {taken}. Use another name (add an initial), or remove {taken} first."


def count_people(session: Session, door: str = "") -> int:
    """How many may use this door; "" counts all."""
    if not door:
        return session.scalar(select(func.count()).select_from(PersonRow)) or 0
    query = select(func.count()).select_from(MembershipRow).where(MembershipRow.door_name == door)
    return session.scalar(query) or 0


def add_person(
    session: Session,
    name: str,
    verdict: Verdict,
    encoder_id: str,
    doors: Sequence[DoorRow],
    store_key: SecretKey,
    *,
    keep_photo: bool = False,
) -> PersonRow:
    """name: cleaned; verdict: of a photo that is good enough. keep_photo: the crop as well. -> the row, with its
    memberships."""
    person_id = new_id()
    portrait = new_portrait(person_id, verdict, encoder_id, store_key, keep_photo=keep_photo)
    row = person_row(person_id, name, doors, portrait)
    session.add(row)
    session.flush()
    return row


def person_row(person_id: str, name: str, doors: Sequence[DoorRow], portrait: PortraitRow) -> PersonRow:
    """Somebody who is in no store yet. name: cleaned."""
    row = PersonRow(id=person_id, name=name, name_key=name_key(name), created=utc_now())
    row.memberships = [MembershipRow(person_id=person_id, door_name=door.name) for door in doors]
    row.portraits = [portrait]
    return row


def set_memberships(session: Session, person: PersonRow, doors: set[str]) -> None:
    """The person may use exactly these doors."""
    kept = [member for member in person.memberships if member.door_name in doors]
    new = doors - {member.door_name for member in kept}
    person.memberships = kept + [MembershipRow(person_id=person.id, door_name=name) for name in sorted(new)]
    session.flush()


def doors_named(session: Session, names: Sequence[str]) -> list[DoorRow]:
    """names: empty for all doors. Raises BadInput for a door that is not there."""
    if not names:
        return list(session.scalars(select(DoorRow).order_by(DoorRow.name).with_for_update()))
    return [find_door(session, name) for name in sorted(set(names))]
