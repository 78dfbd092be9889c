"""People in the store: sealed on the way in, opened on the way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from admin_ui.enrol import Known, crop_array, crop_png, nearest
from admin_ui.eyes import Eyes
from admin_ui.models import NAME_LENGTH, DoorRow, MembershipRow, PersonRow, PortraitRow, TemplateRow
from admin_ui.rollout import crop_topic, vector_topic
from admin_ui.store import Store, find_door, name_key, new_id, utc_now
from admin_ui.tune import duplicate_tau
from admin_ui.views import LooksLike, PersonView, Verdict
from firmware_config.calibration import Calibration
from firmware_config.errors import BadInput, BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray
from firmware_config.keys import SecretKey
from firmware_config.roster import template_bytes

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
    """A row with its memberships -> what is shown."""
    return PersonView(
        id=row.id,
        name=row.name,
        doors=tuple(sorted(member.door_name for member in row.memberships)),
        created=row.created,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
    )


def all_people(session: Session) -> list[PersonView]:
    """By name."""
    rows = session.scalars(select(PersonRow).options(selectinload(PersonRow.memberships)).order_by(PersonRow.name_key))
    return [view(row) for row in rows]


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


def check_not_duplicate(
    session: Session, verdict: Verdict, encoder_id: str, calibration: Calibration, store_key: SecretKey
) -> None:
    """Raises LooksLike where this face is enrolled already."""
    known = known_people(session, encoder_id, store_key)
    found = nearest(verdict.embedding, known) if verdict.embedding is not None else None
    if found is not None and found[1] <= duplicate_tau(calibration, len(known)):
        name = found[0].name
        raise LooksLike(
            name,
            found[1],
            f"This face is enrolled already, as {name} (distance {found[1]:.2f}). Remove {name} first, or confirm "
            "that these are two people.",
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
) -> PersonRow:
    """name: cleaned; verdict: of a photo that is good enough. -> the row, with its memberships."""
    if verdict.crop is None or verdict.embedding is None:
        raise BadInput("There is no face to enrol in this photo.")
    row = PersonRow(id=new_id(), name=name, name_key=name_key(name), created=utc_now())
    row.memberships = [MembershipRow(person_id=row.id, door_name=door.name) for door in doors]
    row.portraits = [
        PortraitRow(
            crop=store_key.seal(crop_topic(row.id), crop_png(verdict.crop)),
            quality=verdict.values,
            created=utc_now(),
            templates=[TemplateRow(encoder_id=encoder_id, vector=_seal_vector(store_key, row.id, verdict.embedding))],
        )
    ]
    session.add(row)
    session.flush()
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


def portrait_png(session: Session, person_id: str, store_key: SecretKey) -> bytes:
    """The newest crop. Raises BadInput where there is none."""
    query = select(PortraitRow).where(PortraitRow.person_id == person_id).order_by(PortraitRow.id.desc())
    row = session.scalar(query.limit(1))
    if row is None:
        raise BadInput("This person is not enrolled (any more). Reload the list.")
    return store_key.open(crop_topic(person_id), row.crop)


def add_templates(session: Session, eyes: Eyes, store_key: SecretKey, limit: int = EMBED_BATCH) -> int:
    """Templates under this encoder for portraits that have none yet, at most `limit` -> how many were made."""
    have = select(TemplateRow.portrait_id).where(TemplateRow.encoder_id == eyes.encoder_id)
    rows = list(session.scalars(select(PortraitRow).where(PortraitRow.id.not_in(have)).limit(limit)))
    if rows:
        crops = [crop_array(store_key.open(crop_topic(row.person_id), row.crop)) for row in rows]
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
