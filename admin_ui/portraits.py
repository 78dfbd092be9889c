"""What is kept of a face, sealed under its person: portraits, and the templates that are made of them and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, undefer

from admin_ui.enrol import Known, crop_array, crop_png, nearest
from admin_ui.eyes import Eyes
from admin_ui.models import DoorRow, MembershipRow, PersonRow, PortraitRow, TemplateRow
from admin_ui.rollout import crop_topic, vector_topic
from admin_ui.store import Store, utc_now
from admin_ui.tune import duplicate_tau
from admin_ui.views import Likeness, LooksLike, Verdict
from firmware_config.calibration import Calibration
from firmware_config.errors import BadInput, BadState
from firmware_config.face import EMBEDDING_SIZE, FloatArray, ImageArray
from firmware_config.keys import SecretKey
from firmware_config.roster import template_bytes

EMBED_BATCH: Final = 32
"""Crops that go through the encoder at once: 1.2 MB, and no gain in speed beyond."""


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
    return likeness_among(known_people(session, encoder_id, store_key), verdict, calibration)


def likeness_among(known: Sequence[Known], verdict: Verdict, calibration: Calibration) -> Likeness | None:
    """The same among templates that are open already."""
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


def count_templates(session: Session, door: DoorRow) -> int:
    """What a face is compared with at this door."""
    query = (
        select(func.count())
        .select_from(TemplateRow)
        .join(PortraitRow, PortraitRow.id == TemplateRow.portrait_id)
        .join(MembershipRow, MembershipRow.person_id == PortraitRow.person_id)
        .where(MembershipRow.door_name == door.name, TemplateRow.encoder_id == door.encoder_id)
    )
    return session.scalar(query) or 0


def new_portrait(
    person_id: str, verdict: Verdict, encoder_id: str, store_key: SecretKey, *, keep_photo: bool
) -> PortraitRow:
    """Raises BadInput for a verdict without a face."""
    if verdict.crop is None or verdict.embedding is None:
        raise BadInput("There is no face to enrol in this photo.")
    return PortraitRow(
        crop=seal_crop(store_key, person_id, verdict.crop) if keep_photo else None,
        quality=verdict.values,
        created=utc_now(),
        templates=[TemplateRow(encoder_id=encoder_id, vector=seal_vector(store_key, person_id, verdict.embedding))],
    )


def add_template(
    session: Session, person_id: str, portrait: PortraitRow, encoder_id: str, vector: FloatArray, store_key: SecretKey
) -> None:
    """One more of a portrait that is there, of another encoder. vector: float32[128], unit."""
    portrait.templates.append(TemplateRow(encoder_id=encoder_id, vector=seal_vector(store_key, person_id, vector)))
    session.flush()


def portrait_png(session: Session, person_id: str, store_key: SecretKey) -> bytes:
    """The newest crop. Raises BadInput where there is none."""
    query = select(PortraitRow.crop).where(PortraitRow.person_id == person_id, PortraitRow.crop.is_not(None))
    crop = session.scalar(query.order_by(PortraitRow.id.desc()).limit(1))
    if crop is None:
        raise BadInput("No photo of this person is kept, or they are not enrolled any more.")
    return store_key.open(crop_topic(person_id), crop)


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


def add_templates(session: Session, eyes: Eyes, store_key: SecretKey, limit: int = EMBED_BATCH) -> int:
    """Templates under this encoder for kept portraits that have none yet, at most `limit` -> how many were made."""
    kept = select(PortraitRow).where(*_missing(eyes.encoder_id)).options(undefer(PortraitRow.crop))
    rows = list(session.scalars(kept.limit(limit)))
    if rows:
        crops = [crop_array(store_key.open(crop_topic(row.person_id), row.crop or b"")) for row in rows]
        for row, vector in zip(rows, eyes.embed(crops), strict=True):
            sealed = seal_vector(store_key, row.person_id, vector)
            session.add(TemplateRow(portrait_id=row.id, encoder_id=eyes.encoder_id, vector=sealed))
        session.flush()
    return len(rows)


def add_all_templates(
    store: Store, eyes: Eyes, store_key: SecretKey, progress: Callable[[int, int], None] = lambda _made, _of: None
) -> int:
    """As add_templates, for everybody, in transactions so short that doors and colleagues need not wait. progress: how
    many were made, of how many."""
    with store.read() as session:
        of = session.scalar(select(func.count()).select_from(PortraitRow).where(*_missing(eyes.encoder_id))) or 0
    made = 0
    while True:
        progress(made, max(of, made))
        with store.write() as session:
            batch = add_templates(session, eyes, store_key)
        made += batch
        if batch < EMBED_BATCH:
            return made


def _missing(encoder_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Kept portraits without a template of this encoder."""
    have = select(TemplateRow.portrait_id).where(TemplateRow.encoder_id == encoder_id)
    return PortraitRow.id.not_in(have), PortraitRow.crop.is_not(None)


def seal_crop(store_key: SecretKey, person_id: str, crop: ImageArray) -> bytes:
    """crop: uint8[112, 112, 3] RGB -> what PortraitRow.crop keeps."""
    return store_key.seal(crop_topic(person_id), crop_png(crop))


def seal_vector(store_key: SecretKey, person_id: str, vector: FloatArray) -> bytes:
    """vector: float32[128], unit -> what TemplateRow.vector keeps."""
    return store_key.seal(vector_topic(person_id), template_bytes(vector))


def _vector(store_key: SecretKey, person_id: str, sealed: bytes) -> FloatArray:
    raw = store_key.open(vector_topic(person_id), sealed)
    if len(raw) != EMBEDDING_SIZE * 4:
        raise BadState(f"A template of person {person_id} is damaged. Remove and enrol this person again.")
    return np.frombuffer(raw, "<f4").astype(np.float32)
