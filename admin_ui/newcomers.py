"""Rows of a batch on their way into the store: what takes long is made beforehand, so that the transaction is short.

Pictures and seals of a thousand people take ten seconds and more. Whoever unlocks a door or logs in waits for five
(store.BUSY_TIMEOUT_MS), so they are made before the store is locked. Whatever may have changed until then is asked anew
within: photos that are kept, the encoder that runs ahead, names, faces and doors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui import options, people
from admin_ui.batch import Faces, Row
from admin_ui.eyes import Eyes
from admin_ui.models import DoorRow, PersonRow, PortraitRow, TemplateRow
from admin_ui.portraits import EMBED_BATCH, seal_crop, seal_vector
from admin_ui.store import name_key, new_id, utc_now
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray
from firmware_config.keys import SecretKey


@dataclass(frozen=True)
class Newcomer:
    """Somebody to enrol. crop: of the photo, uint8[112, 112, 3] RGB; embedding: float32[128], of the encoder in force.
    templates: encoder_id -> sealed. kept: the crop, sealed, None where photos are not kept."""

    row: Row
    person_id: str
    crop: ImageArray
    embedding: FloatArray
    templates: dict[str, bytes]
    kept: bytes | None


def prepared(
    rows: Sequence[Row], encoder_id: str, ahead: Eyes | None, store_key: SecretKey, *, keep_photo: bool
) -> list[Newcomer | Row]:
    """Each row that is to be enrolled as a Newcomer, the others as they are; no store is needed. encoder_id: in force.
    ahead: of the encoder that some doors run ahead of it."""
    ready = [_newcomer(row, encoder_id, store_key, keep_photo=keep_photo) for row in rows]
    if ahead is not None:
        coming = iter([one for one in ready if isinstance(one, Newcomer)])
        while some := list(itertools.islice(coming, EMBED_BATCH)):
            for one, vector in zip(some, ahead.embed([one.crop for one in some]), strict=True):
                one.templates[ahead.encoder_id] = seal_vector(store_key, one.person_id, vector)
    return ready


def _newcomer(row: Row, encoder_id: str, store_key: SecretKey, *, keep_photo: bool) -> Newcomer | Row:
    verdict = row.verdict
    if not row.ok or row.done or verdict is None or verdict.crop is None or verdict.embedding is None:
        return row
    id_ = new_id()
    kept = seal_crop(store_key, id_, verdict.crop) if keep_photo else None
    templates = {encoder_id: seal_vector(store_key, id_, verdict.embedding)}
    return Newcomer(row, id_, verdict.crop, verdict.embedding, templates, kept)


class Enroller:
    """Newcomers into one transaction, written by save(). touched: doors that get a new list."""

    def __init__(
        self, session: Session, store_key: SecretKey, encoder_id: str, ahead: Eyes | None, faces: Faces, tau: float
    ) -> None:
        """encoder_id, ahead: as prepared has them, of now. faces: everybody's; tau: within which two are one person."""
        self.touched: set[str] = set()
        self._session = session
        self._store_key = store_key
        self._encoder_id = encoder_id
        self._ahead = ahead
        self._faces = faces
        self._tau = tau
        self._keep = options.photos_kept(session)
        self._version = options.consent(session)[0]
        # One question for all names, and one for each choice of doors: a thousand of them take seconds.
        self._names = {row.name_key: row.name for row in session.execute(select(PersonRow.name_key, PersonRow.name))}
        self._doors: dict[tuple[str, ...], list[DoorRow]] = {}
        self._new: list[PersonRow] = []

    def __call__(self, one: Newcomer | Row) -> Row:
        if isinstance(one, Row):
            return one
        row, key = one.row, name_key(one.row.name)
        alike = self._faces.told(one.embedding, self._tau)
        if alike:
            return row.refused(alike)
        if key in self._names:
            return row.refused(people.already_named(self._names[key]))
        try:
            doors = self._doors_of(row)
        except BadInput as error:
            return row.refused(str(error))
        self._new.append(self._person(one, doors))
        self._names[key] = row.name
        self.touched |= {door.name for door in doors}
        return replace(row, done=True)

    def save(self) -> None:
        """All at once."""
        self._session.add_all(self._new)
        self._session.flush()

    def _doors_of(self, row: Row) -> list[DoorRow]:
        if row.doors not in self._doors:
            self._doors[row.doors] = people.doors_named(self._session, row.doors)
        return self._doors[row.doors]

    def _person(self, one: Newcomer, doors: Sequence[DoorRow]) -> PersonRow:
        row = one.row
        person = people.person_row(one.person_id, row.name, doors, self._portrait(one))
        person.valid_from, person.valid_until = row.valid_from, row.valid_until
        if row.consent:
            person.consent_at, person.consent_version = person.created, self._version
        return person

    def _portrait(self, one: Newcomer) -> PortraitRow:
        kept = None
        if self._keep:
            # The switch was off while it was prepared.
            kept = one.kept if one.kept is not None else seal_crop(self._store_key, one.person_id, one.crop)
        quality = one.row.verdict.values if one.row.verdict is not None else {}
        templates = [TemplateRow(encoder_id=id_, vector=sealed) for id_, sealed in self._templates(one)]
        return PortraitRow(crop=kept, quality=quality, created=utc_now(), templates=templates)

    def _templates(self, one: Newcomer) -> Iterator[tuple[str, bytes]]:
        yield self._encoder_id, one.templates[self._encoder_id]
        if self._ahead is None:
            return
        id_ = self._ahead.encoder_id
        if id_ not in one.templates:  # it runs ahead only since
            one.templates[id_] = seal_vector(self._store_key, one.person_id, self._ahead.embed([one.crop])[0])
        yield id_, one.templates[id_]
