"""What the office does about many people at once: read, wait for a yes, enrol all of them or none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui import batch, options, people, portraits, shelf, tune
from admin_ui.acts import record_act
from admin_ui.batch import Faces, Row
from admin_ui.models import DoorRow, PersonRow, PortraitRow
from admin_ui.premises import Premises
from admin_ui.store import utc_now
from admin_ui.views import Change, Verdict
from admin_ui.waiting import Batch
from firmware_config.errors import BadInput
from firmware_config.keys import SecretKey

Also = Callable[[Session, str, PortraitRow, Verdict], None]
NOTHING_WAITS: Final = "There is no batch of yours (any more). Send the ZIP once more; nothing was saved."


class Batches(Premises):
    """Many people at once. service.Office says what all methods have in common."""

    def read_batch(self, file: Path, by: str, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Batch:
        """Judge a ZIP of photos and a CSV; saves nothing. It waits for enrol_batch under this account, in place of one
        that did before. Raises BadInput."""
        with file.open("rb") as stream:
            rows, files = batch.read_rows(stream)
        sight = self._sight.current()
        with self.store.read() as session:
            known = portraits.known_people(session, sight.eyes.encoder_id, self._keyring.store)
            taken = list(session.scalars(select(PersonRow.name)))
            doors = list(session.scalars(select(DoorRow.name).order_by(DoorRow.name)))
        tau = tune.duplicate_tau(sight.calibration, len(known) + len(rows))
        judged = batch.judge(rows, files, sight.eyes, taken, doors, known, tau, progress)
        made = Batch(tuple(judged), sight.eyes.encoder_id, time.monotonic())
        self._waiting.put(by, made)
        return made

    def waiting_batch(self, by: str) -> Batch | None:
        """What waits for a yes of this account, or was enrolled last: a browser that was reloaded shows it again."""
        return self._waiting.get(by)

    def drop_batch(self, by: str) -> None:
        """A no."""
        self._waiting.drop(by)

    def enrol_batch(self, by: str) -> Change:
        """Enrol every good row, all in one transaction; each door gets one list. A row that does not fit any more
        (a name or a face was enrolled meanwhile) is left out and says why. Raises BadInput, BadState."""
        with self._changing:
            waits = self._waiting.get(by)
            if waits is None:
                raise BadInput(NOTHING_WAITS)
            if not waits.good:
                raise BadInput("Nobody in this batch can be enrolled. Look at what the table says.")
            with self.store.write() as session:
                shelf.check_in_force(session, waits.encoder_id)
                calibration = self._sight.current().calibration
                known = portraits.known_people(session, waits.encoder_id, self._keyring.store)
                faces, tau = Faces(known, room=0), tune.duplicate_tau(calibration, len(known) + waits.good)
                enrol = _Enroller(session, waits.encoder_id, self._keyring.store, faces, tau, self._also_ahead)
                rows = [enrol(row) for row in waits.rows]
                touched = enrol.touched
                self._desk.roll(session, people.doors_named(session, sorted(touched)) if touched else [])
                count = sum(row.done for row in rows) - sum(row.done for row in waits.rows)
                record_act(session, by, "enrol_batch", f"{count} people at {', '.join(sorted(touched)) or 'no door'}")
            # The faces have served; the table stays to be downloaded.
            slim = tuple(replace(row, verdict=None if row.done else row.verdict) for row in rows)
            self._waiting.put(by, replace(waits, rows=slim))
            news = self._desk.send(sorted(touched))
        return Change(f"{count} people are enrolled.", news)


class _Enroller:
    """Rows of a batch into one transaction. touched: doors that get a new list."""

    def __init__(
        self, session: Session, encoder_id: str, store_key: SecretKey, faces: Faces, tau: float, also: Also
    ) -> None:
        self.touched: set[str] = set()
        self._session = session
        self._encoder_id = encoder_id
        self._store_key = store_key
        self._faces = faces
        self._tau = tau
        self._also = also
        self._keep = options.photos_kept(session)
        self._version = options.consent(session)[0]

    def __call__(self, row: Row) -> Row:
        vector = row.verdict.embedding if row.verdict is not None else None
        if not row.ok or row.done or row.verdict is None or vector is None:
            return row
        alike = self._faces.told(vector, self._tau)
        if alike:
            return row.refused(alike)
        try:
            people.check_name_free(self._session, row.name)
            doors = people.doors_named(self._session, row.doors)
        except BadInput as error:
            return row.refused(str(error))
        person = people.add_person(
            self._session, row.name, row.verdict, self._encoder_id, doors, self._store_key, keep_photo=self._keep
        )
        self._also(self._session, person.id, person.portraits[0], row.verdict)
        person.valid_from, person.valid_until = row.valid_from, row.valid_until
        if row.consent:
            person.consent_at, person.consent_version = utc_now(), self._version
        self.touched |= {door.name for door in doors}
        return replace(row, done=True)
