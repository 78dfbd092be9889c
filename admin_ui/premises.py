"""What everything in the office shares: settings, keys, store, encoder, and the way to the doors."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_ui import portraits, shelf
from admin_ui.accounts import PasswordCheck
from admin_ui.acts import Witness, record_act
from admin_ui.ahead import ahead, measured_since
from admin_ui.desk import FrontDesk
from admin_ui.doors import applied_at
from admin_ui.erasure import ErasedList, erase
from admin_ui.exhibits import Remembered
from admin_ui.eyes import Eyes, open_eyes
from admin_ui.keyring import Keyring
from admin_ui.models import ActRow, DoorRow, EventRow, PersonRow, PortraitRow
from admin_ui.scale import Scale
from admin_ui.sessions import SessionBook
from admin_ui.sight import SightKeeper
from admin_ui.store import find_door, open_store
from admin_ui.tries import Tries
from admin_ui.views import Verdict
from admin_ui.waiting import WaitingRoom
from admin_ui.webcert import web_certificate
from firmware_config.settings import AdminSettings

log = logging.getLogger("latchkey.page")


class Premises:
    """Opened once per process. What is done in it stands in Personnel, Doorkeeping and Office."""

    def __init__(
        self,
        settings: AdminSettings,
        *,
        default_bundle: Path | None = None,
        make_eyes: Callable[[bytes, bytes | None], Eyes] = open_eyes,
    ) -> None:
        """Opens store, keys and encoder. default_bundle: what a new site starts with, none: the package's.

        make_eyes: encoder.onnx and quality.onnx -> Eyes. Raises BadState, LostLink (no face detector to fetch)."""
        self.settings = settings
        self.site = settings.site
        self._keyring = Keyring(settings.state)
        self.web_certificate = web_certificate(settings)
        """What browsers are shown; None: the page speaks http."""
        self.store = open_store(settings.store, settings.state)
        self.witness = Witness(settings.state, self._keyring.store)
        self._erased = ErasedList(settings.state)
        self.store.witnesses += [self.witness.see, self._erased.see]
        self._shelf = shelf.Shelf(settings.state, self._keyring.site, default_bundle)
        self._sight = SightKeeper(self._shelf, self.store, make_eyes)
        self._check = PasswordCheck(self.store)
        self.sessions = SessionBook(self.store)
        self.tries = Tries(self.store)
        self._waiting = WaitingRoom()
        self._remembered = Remembered()
        self._desk = FrontDesk(
            self.site,
            settings.broker,
            self._keyring,
            self.store,
            self._model_file,
            lambda encoder_id: self._sight.of(encoder_id).calibration,
            self.store.lease(settings.state),
        )
        self.link = self._desk.link
        # One change at a time in this process; the store's own lock keeps other processes apart.
        self._changing = threading.Lock()
        self._erase_again()

    def _erase_again(self) -> None:
        """Whoever was erased and is back in the store, out of a backup, goes before any door hears of them."""
        with self.store.write() as session:
            back = self._erased.merge(session)
            for person in back:
                receipt = erase(session, person)
                self._desk.roll(session, [find_door(session, name) for name in receipt.doors])
                record_act(session, "store", "erase_again", receipt.sentence)
        if back:
            log.warning("%d people who were erased came back with an older store; they are erased again.", len(back))
            self.store.scrub()

    def start(self) -> None:
        """Connect to the broker, in the background: one that is down is tried until it is up."""
        self._desk.start()

    def stop(self) -> None:
        """Disconnect and close the store."""
        self._desk.stop()
        self.store.close()

    def link_sentence(self) -> str:
        """ "" while connected to the broker and let to hear all, otherwise a sentence that says why not."""
        why = self.link.why_down
        return f"The page has no connection to the broker: {why}. It keeps trying." if why else self.link.unheard

    def check_password(self, account: str, password: str) -> bool:
        """Takes the same time (argon2id, some 50 ms) for an unknown account as for a wrong password."""
        return self._check(account, password)

    def session_key(self) -> bytes:
        """32 random bytes, kept across restarts: what the page signs its session cookies with."""
        return self._keyring.session_bytes

    def metrics_token(self) -> str:
        """What Prometheus shows at /metrics: made from the session key, so that there is nothing more to keep."""
        return hashlib.sha256(b"latchkey-metrics-1" + self._keyring.session_bytes).hexdigest()[:48]

    def counts(self) -> dict[str, int]:
        """People, events and acts in the store."""
        with self.store.read() as session:
            tables = {"people": PersonRow, "events": EventRow, "acts": ActRow}
            return {
                name: session.scalar(select(func.count()).select_from(table)) or 0 for name, table in tables.items()
            }

    def _model_file(self, encoder_id: str) -> bytes:
        return self._sight.of(encoder_id).shelved.file

    def _scale(self, session: Session, row: DoorRow) -> Scale:
        """Of the distances that a door measures now; a bundle that it has not taken yet does not count."""
        now, since = ahead(session), measured_since(session, row.name)
        applied = applied_at(row, self.link.presence(row.name))
        if now is not None and now.carried and applied is not None and applied.encoder_id == now.encoder_id:
            proof = self._sight.of(now.encoder_id, session).shelved.bundle.proofs.get(row.encoder_id)
            if proof is not None:
                templates = portraits.count_templates(session, row)
                return Scale(proof.cross, row.encoder_id, since, proof, templates, now.title)
        return Scale(self._sight.of(row.encoder_id, session).calibration, row.encoder_id, since)

    def _also_ahead(self, session: Session, person_id: str, portrait: PortraitRow, verdict: Verdict) -> None:
        """A template of the encoder that some doors run ahead as well: whoever is enrolled now is known there too."""
        now = ahead(session)
        if now is not None and verdict.crop is not None:
            vector = self._sight.of(now.encoder_id).eyes.embed([verdict.crop])[0]
            portraits.add_template(session, person_id, portrait, now.encoder_id, vector, self._keyring.store)
