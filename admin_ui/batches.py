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
from admin_ui.ahead import ahead
from admin_ui.batch import Faces
from admin_ui.eyes import Eyes
from admin_ui.models import DoorRow, PersonRow
from admin_ui.newcomers import Enroller, prepared
from admin_ui.premises import Premises
from admin_ui.views import Change
from admin_ui.waiting import Batch
from firmware_config.errors import BadInput

NOTHING_WAITS: Final = "There is no batch of yours (any more). Send the ZIP once more; nothing was saved."
ANOTHER: Final = (
    "Another ZIP was read under your account since this table was shown. Nothing was saved. Look at what the table "
    "says now."
)
MEANWHILE: Final = "Your batch was enrolled, dropped or replaced meanwhile. Look at what the table says now."


class Batches(Premises):
    """Many people at once. service.Office says what all methods have in common."""

    def read_batch(self, file: Path, by: str, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Batch:
        """Judge a ZIP of photos and a CSV; saves nothing. It waits for enrol_batch under this account, in place of one
        that did before. Raises BadInput."""
        sight = self._sight.current()
        with self.store.read() as session:
            known = portraits.known_people(session, sight.eyes.encoder_id, self._keyring.store)
            taken = list(session.scalars(select(PersonRow.name)))
            doors = list(session.scalars(select(DoorRow.name).order_by(DoorRow.name)))
        with file.open("rb") as stream:
            rows, files = batch.read_rows(stream)
            tau = tune.duplicate_tau(sight.calibration, len(known) + len(rows))
            judged = batch.judge(rows, files, sight.eyes, taken, doors, known, tau, progress)
        made = Batch(tuple(judged), sight.eyes.encoder_id, time.monotonic())
        self._waiting.put(by, made)
        return made

    def waiting_batch(self, by: str) -> Batch | None:
        """What waits for a yes of this account, or was enrolled last: a browser that was reloaded shows it again."""
        return self._waiting.get(by)

    def drop_batch(self, by: str, batch_id: str | None = None) -> None:
        """A no. batch_id: of the table that was looked at; None: whichever waits."""
        self._waiting.drop(by, batch_id)

    def enrol_batch(self, by: str, batch_id: str | None = None) -> Change:
        """Enrol every good row, all in one transaction; each door gets one list. A row that does not fit any more
        (a name or a face was enrolled meanwhile) is left out and says why. batch_id: of the table that was
        looked at, which has to be the one that waits; None: whichever waits. Raises BadInput, BadState."""
        waits = self._to_enrol(by, batch_id)
        key = self._keyring.store
        with self.store.read() as session:
            keep, eyes = options.photos_kept(session), self._eyes_ahead(session)
        ready = prepared(waits.rows, waits.encoder_id, eyes, key, keep_photo=keep)
        with self._changing:
            if self._waiting.get(by) is not waits:
                raise BadInput(MEANWHILE)
            with self.store.write() as session:
                shelf.check_in_force(session, waits.encoder_id)
                calibration = self._sight.current().calibration
                known = portraits.known_people(session, waits.encoder_id, key)
                faces, tau = Faces(known, room=0), tune.duplicate_tau(calibration, len(known) + waits.good)
                enrol = Enroller(session, key, waits.encoder_id, self._eyes_ahead(session), faces, tau)
                rows = [enrol(one) for one in ready]
                enrol.save()
                touched = enrol.touched
                self._desk.roll(session, people.doors_named(session, sorted(touched)) if touched else [])
                count = sum(row.done for row in rows) - sum(row.done for row in waits.rows)
                record_act(session, by, "enrol_batch", f"{count} people at {', '.join(sorted(touched)) or 'no door'}")
            # The faces have served; the table stays to be downloaded.
            slim = tuple(replace(row, verdict=None if row.done else row.verdict) for row in rows)
            self._waiting.renew(by, replace(waits, rows=slim))
            news = self._desk.send(sorted(touched))
        return Change(f"{count} people are enrolled.", news)

    def _to_enrol(self, by: str, batch_id: str | None) -> Batch:
        waits = self._waiting.get(by)
        if waits is None:
            raise BadInput(NOTHING_WAITS)
        if batch_id not in (None, waits.id):
            raise BadInput(ANOTHER)
        if not waits.good:
            raise BadInput("Nobody in this batch can be enrolled. Look at what the table says.")
        return waits

    def _eyes_ahead(self, session: Session) -> Eyes | None:
        now = ahead(session)
        return self._sight.of(now.encoder_id, session).eyes if now is not None else None
