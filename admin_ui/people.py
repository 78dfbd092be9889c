"""People in the store: sealed on the way in, opened on the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import Session, selectinload, undefer

from admin_ui.enrol import Known, crop_array, crop_png, nearest
from admin_ui.eyes import Eyes
from admin_ui.models import NAME_LENGTH, DoorRow, MembershipRow, PersonRow, PortraitRow, TemplateRow
from admin_ui.rollout import crop_topic, vector_topic
from admin_ui.store import Store, find_door, name_key, new_id, utc_now
from admin_ui.tune import duplicate_tau
from admin_ui.views import Likeness, LooksLike, PeopleQuery, PersonView, Verdict
from firmware_config.calibration import Calibration
from firmware_config.errors import BadInput, BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray
from firmware_config.keys import SecretKey
from firmware_config.roster import template_bytes

MOST_SHOWN: Final = 500
"""Rows of people at once: more nobody reads, and a browser takes long to draw."""
MOST_PHOTOS: Final = 5
"""Of one person. A roster takes 20; each further one also makes strangers a little likelier to pass."""
EMBED_BATCH: Final = 32
"""Crops that go through the encoder at once: 1.2 MB, and no gain in speed beyond."""


def clean_name(name: str) -> str:
    """Spaces tidied. Raises BadInput."""
    tidy = " ".join(name.split())
    if not tidy:
        raise BadInput("The name is missing. Write the name that the log shall show.")
    if len(tidy) > NAME_LENGTH or not tidy.isprintable():
        raise BadInput(f"A name has at most {NAME_LENGTH} printable characters; shorten it.")
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


def _without_door(_now: datetime) -> Iterable[ColumnElement[bool]]:
    return [~PersonRow.memberships.any()]


STATES: Final[Mapping[str, Callable[[datetime], Iterable[ColumnElement[bool]]]]] = {
    "": lambda _now: [],
    "suspended": lambda _now: [PersonRow.suspended.is_(True)],
    "over": lambda now: [PersonRow.valid_until <= now],
    "not yet": lambda now: [PersonRow.valid_from > now],
    "no door": _without_door,
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
        raise BadInput(
            f"There is already somebody named {taken}. Use another name (add an initial), or remove {taken} first."
        )


def known_people(session: Session, encoder_id: str, store_key: SecretKey) -> list[Known]:
    """Every template under one encoder, of all doors. Raises BadState for a damaged one."""
    query = (
        select(PersonRow.id, PersonRow.name, TemplateRow.vector)
        .join(PortraitRow, PortraitRow.person_id == PersonRow.id)
        .join(TemplateRow, TemplateRow.portrait_id == PortraitRow.id)
        .where(TemplateRow.encoder_id == encoder_id)
    )
    return [Known(id_, name, _vector(store_key, id_, sealed)) for id_, name, sealed in session.execute(query)]


def likeness(
    session: Session, verdict: Verdict, encoder_id: str, calibration: Calibration, store_key: SecretKey
) -> Likeness | None:
    """Who looks most like this face. None where nobody is enrolled, or there is no face."""
    known = known_people(session, encoder_id, store_key)
    found = nearest(verdict.embedding, known) if verdict.embedding is not None else None
    if found is None:
        return None
    one, distance = found
    return Likeness(one.person_id, one.name, distance, same=distance <= duplicate_tau(calibration, len(known)))


def check_not_duplicate(
    session: Session, verdict: Verdict, encoder_id: str, calibration: Calibration, store_key: SecretKey
) -> None:
    """Raises LooksLike where this face is enrolled already."""
    found = likeness(session, verdict, encoder_id, calibration, store_key)
    if found is not None and found.same:
        raise LooksLike(
            found.name,
            found.distance,
            f"This face is enrolled already, as {found.name} (distance {found.distance:.2f}). Remove {found.name} "
            "first, or confirm that these are two people.",
        )


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
    row = PersonRow(id=new_id(), name=name, name_key=name_key(name), created=utc_now())
    row.memberships = [MembershipRow(person_id=row.id, door_name=door.name) for door in doors]
    row.portraits = [new_portrait(row.id, verdict, encoder_id, store_key, keep_photo=keep_photo)]
    session.add(row)
    session.flush()
    return row


def new_portrait(
    person_id: str, verdict: Verdict, encoder_id: str, store_key: SecretKey, *, keep_photo: bool
) -> PortraitRow:
    """Raises BadInput for a verdict without a face."""
    if verdict.crop is None or verdict.embedding is None:
        raise BadInput("There is no face to enrol in this photo.")
    return PortraitRow(
        crop=store_key.seal(crop_topic(person_id), crop_png(verdict.crop)) if keep_photo else None,
        quality=verdict.values,
        created=utc_now(),
        templates=[TemplateRow(encoder_id=encoder_id, vector=_seal_vector(store_key, person_id, verdict.embedding))],
    )


def forget_crops(session: Session) -> int:
    """No kept photo is left -> how many there were. The numbers made of them stay."""
    kept = session.scalar(select(func.count()).select_from(PortraitRow).where(PortraitRow.crop.is_not(None))) or 0
    session.execute(update(PortraitRow).values(crop=None))
    return kept


def without_crop(session: Session, encoder_id: str) -> list[str]:
    """Names of those for whom no template of this encoder exists or could be made: they have to come again."""
    ready = (
        select(PortraitRow.person_id)
        .outerjoin(TemplateRow, (TemplateRow.portrait_id == PortraitRow.id) & (TemplateRow.encoder_id == encoder_id))
        .where(PortraitRow.crop.is_not(None) | TemplateRow.id.is_not(None))
    )
    query = select(PersonRow.name).where(PersonRow.id.not_in(ready)).order_by(PersonRow.name_key)
    return list(session.scalars(query))


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


def portrait_png(session: Session, person_id: str, store_key: SecretKey) -> bytes:
    """The newest crop. Raises BadInput where there is none."""
    query = select(PortraitRow.crop).where(PortraitRow.person_id == person_id, PortraitRow.crop.is_not(None))
    crop = session.scalar(query.order_by(PortraitRow.id.desc()).limit(1))
    if crop is None:
        raise BadInput("No photo of this person is kept, or they are not enrolled any more.")
    return store_key.open(crop_topic(person_id), crop)


def add_templates(session: Session, eyes: Eyes, store_key: SecretKey, limit: int = EMBED_BATCH) -> int:
    """Templates under this encoder for kept portraits that have none yet, at most `limit` -> how many were made."""
    have = select(TemplateRow.portrait_id).where(TemplateRow.encoder_id == eyes.encoder_id)
    missing = (PortraitRow.id.not_in(have), PortraitRow.crop.is_not(None))
    kept = select(PortraitRow).where(*missing).options(undefer(PortraitRow.crop))
    rows = list(session.scalars(kept.limit(limit)))
    if rows:
        crops = [crop_array(store_key.open(crop_topic(row.person_id), row.crop or b"")) for row in rows]
        for row, vector in zip(rows, eyes.embed(crops), strict=True):
            sealed = _seal_vector(store_key, row.person_id, vector)
            session.add(TemplateRow(portrait_id=row.id, encoder_id=eyes.encoder_id, vector=sealed))
        session.flush()
    return len(rows)


def add_all_templates(store: Store, eyes: Eyes, store_key: SecretKey) -> int:
    """As add_templates, for everybody, in transactions so short that doors and colleagues need not wait."""
    made = 0
    while True:
        with store.write() as session:
            batch = add_templates(session, eyes, store_key)
        made += batch
        if batch < EMBED_BATCH:
            return made


def _seal_vector(store_key: SecretKey, person_id: str, vector: FloatArray) -> bytes:
    return store_key.seal(vector_topic(person_id), template_bytes(vector))


def _vector(store_key: SecretKey, person_id: str, sealed: bytes) -> FloatArray:
    raw = store_key.open(vector_topic(person_id), sealed)
    if len(raw) != EMBEDDING_SIZE * 4:
        raise BadState(f"A template of person {person_id} is damaged. Remove and enrol this person again.")
    return np.frombuffer(raw, "<f4").astype(np.float32)
