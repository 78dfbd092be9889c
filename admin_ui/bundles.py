"""What the office does about encoders: read one, compare it with the one in force, ship it, go back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui import people, portraits, shelf, tune
from admin_ui.acts import record_act
from admin_ui.ahead import Ahead, ahead, exchanged, fresh_ahead, put_ahead
from admin_ui.eyes import Eyes
from admin_ui.models import DoorRow, ModelRow
from admin_ui.premises import Premises
from admin_ui.sight import Sight
from admin_ui.views import Change, ComesAgain
from firmware_config.bundle import MAX_BUNDLE_BYTES, Bundle, BundleRefused
from firmware_config.errors import BadInput
from firmware_config.roster import Policy

Progress = Callable[[int, int], None]
TIMED: Final = 20
"""Crops, one at a time: the quickest tells what a door of this machine's kind would need; what took longer, waited for
others."""


@dataclass(frozen=True)
class BundleView:
    """A bundle for people. fnmr: share, 0 to 1, of genuine pairs beyond the threshold at FMR 1e-4, with its interval.
    milliseconds: for one crop, on this machine. refused: why it cannot follow the one in force, "" where it can.
    again: names of those who would have to be enrolled again. kept: of those who would go on with the templates that
    they have, for no photo of them is kept and the bundle proves that it may be compared with the one in force."""

    name: str
    version: str
    encoder_id: str
    created: datetime
    licence: str
    trained_on: tuple[str, ...]
    size: int
    card: str
    tau: float
    fnmr: float
    fnmr_between: tuple[float, float]
    identities: int
    doubt: str
    """What is to be said of a calibration by too few people."""
    milliseconds: float
    refused: str = ""
    older: bool = False
    again: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shipped:
    """A bundle that this site has run. since: aware, UTC."""

    encoder_id: str
    name: str
    version: str
    since: datetime


class Bundles(Premises):
    """Encoders. service.Office says what all methods have in common."""

    def models(self) -> list[Shipped]:
        """All that this site has run, the one in force first."""
        with self.store.read() as session:
            rows = session.scalars(select(ModelRow).order_by(ModelRow.since.desc()))
            return [Shipped(row.encoder_id, row.name, row.version, row.since) for row in rows]

    def model_in_force(self) -> BundleView:
        """The one in force."""
        sight = self._sight.current()
        return self._view(sight.shelved.bundle, sight.eyes)

    def read_model(self, file: Path) -> BundleView:
        """What is in a file, and whether it can follow the one in force; nothing is changed. Raises BundleRefused."""
        if file.stat().st_size > MAX_BUNDLE_BYTES:
            raise BundleRefused("too_large", f"A bundle has at most {MAX_BUNDLE_BYTES // 2**20} MB; this is no bundle.")
        bundle = self._shelf.read(file.read_bytes())
        before = self._sight.current()
        eyes = before.eyes.with_encoder(bundle.onnx, bundle.quality)
        refused, older = "", False
        try:
            shelf.check_successor(bundle, before.shelved.bundle, eyes, rollback=False)
        except BundleRefused as error:
            refused, older = str(error), error.reason == "older_version"
        view = self._view(bundle, eyes, refused, older=older)
        return replace(view, kept=view.again, again=()) if before.eyes.encoder_id in bundle.proofs else view

    def ship_file(
        self,
        file: Path,
        by: str,
        *,
        back_from: str = "",
        leave_out: bool = False,
        progress: Progress = lambda _made, _of: None,
    ) -> Change:
        """ship_model of an uploaded file. Raises BadInput."""
        data = file.read_bytes()
        try:
            return self.ship_model(data, by, back_from=back_from, leave_out=leave_out, progress=progress)
        except BundleRefused as error:
            if error.reason != "older_version":
                raise
            now = self._sight.current().shelved.bundle.manifest
            raise BundleRefused(
                error.reason,
                f"{now.name} {now.version} is in force now, and this bundle is older. Choose the file once more to see "
                "the two side by side. Nothing was changed.",
            ) from error

    def ship_again(
        self, encoder_id: str, by: str, *, leave_out: bool = False, progress: Progress = lambda _made, _of: None
    ) -> Change:
        """Go back to a bundle that this site has run. Raises BadInput where it is none of those."""
        if encoder_id not in {one.encoder_id for one in self.models()}:
            raise BadInput("This site has not run that encoder. Reload the page.")
        data = self._shelf.kept(encoder_id)
        return self.ship_model(data, by, rollback=True, leave_out=leave_out, progress=progress)

    def ship_model(
        self,
        data: bytes,
        by: str,
        *,
        rollback: bool = False,
        back_from: str = "",
        leave_out: bool = False,
        progress: Progress = lambda _made, _of: None,
    ) -> Change:
        """Verify a bundle (release key or site key), make the templates for it of everybody whose photo is kept, sign
        it with the site key, send it and then the rosters; thresholds keep their false match rates.

        Where somebody's photo is not kept and the bundle proves that it may be compared with the encoder in force,
        nobody comes again: the doors run the new one with their lists of the one before (ahead.py).
        rollback: let it be older than the one in force. back_from: the same, while this encoder is in force: who ships
        an older one has read which newer one it takes back. leave_out: go on although some have to be enrolled again.
        progress: templates made, of how many. Raises BundleRefused (a BadInput), ComesAgain (one too)."""
        bundle = self._shelf.read(data)
        name = f"{bundle.manifest.name} {bundle.manifest.version}"
        with self._changing:
            before = self._sight.current()
            eyes = before.eyes.with_encoder(bundle.onnx, bundle.quality)
            with self.store.read() as session:
                self._refuse_second(session, bundle)
            rollback = rollback or back_from == before.eyes.encoder_id
            shelf.check_successor(bundle, before.shelved.bundle, eyes, rollback=rollback)
            carried = self._may_go(bundle, before, leave_out=leave_out)
            again = [] if carried else self.who_comes_again(eyes.encoder_id)
            self._shelf.keep(data)
            made = portraits.add_all_templates(self.store, eyes, self._keyring.store, progress)
            with self.store.write() as session:
                # Whoever was enrolled from a shell meanwhile.
                made += portraits.add_templates(session, eyes, self._keyring.store)
                rows = people.doors_named(session, ())
                if carried:
                    waiting = len(portraits.without_crop(session, eyes.encoder_id))
                    now = ahead(session) or fresh_ahead(bundle.manifest, carried=True)
                    self._go_ahead(session, now, rows, before, bundle)
                    facts = f"{made} templates, {waiting} people keep those of the one before"
                else:
                    self._put_in_force(session, rows, before, bundle)
                    facts = f"{made} templates, {len(again)} people to be enrolled again"
                record_act(session, by, "ship_model", f"{name} ({eyes.encoder_id[:12]}), {facts}")
            news = self._desk.send([row.name for row in rows], model=True)
        left = f" To be enrolled again: {', '.join(again)}." if again else " Nobody has to be enrolled again."
        if carried:
            left += f" {waiting} people of whom no photo is kept go on with what they have: the two may be compared."
        elif before.eyes.encoder_id in bundle.proofs:
            left += " A door goes on with the list that it has until the new one has come."
        told = f"The encoder {name} is sent. Templates made for it: {made}."
        return Change(told + left, news)

    def _may_go(self, bundle: Bundle, before: Sight, *, leave_out: bool) -> bool:
        """True: doors carry their lists on. Raises ComesAgain where somebody would be left out and nobody said yes."""
        again = self.who_comes_again(bundle.manifest.encoder_id)
        if again and before.eyes.encoder_id in bundle.proofs:
            return True
        if again and not leave_out:
            raise ComesAgain(again)
        return False

    @staticmethod
    def _refuse_second(session: Session, bundle: Bundle) -> None:
        now = ahead(session)
        if now is not None and now.encoder_id != bundle.manifest.encoder_id:
            raise BadInput(
                f"{now.title} runs at {', '.join(now.doors)} ahead of the encoder in force. Ship it to all doors or "
                "take it back first. Nothing was changed."
            )

    def _go_ahead(self, session: Session, now: Ahead, rows: Sequence[DoorRow], before: Sight, bundle: Bundle) -> None:
        """These doors too, in the caller's transaction; with lists of their own unless they are carried."""
        exchanged(session, (row.name for row in rows if row.name not in now.doors))
        for row in rows:
            if row.name in now.doors:
                continue
            now.doors.append(row.name)
            policy = Policy.model_validate(row.policy)
            now.before[row.name] = row.policy
            if not now.carried:
                row.encoder_id = bundle.manifest.encoder_id
                row.policy_before = {}
                policy = tune.same_fmr(policy, before.calibration, bundle.calibration)
            put_ahead(session, now)
            self._desk.roll(session, [row], policy, before.calibration if now.carried else bundle.calibration)
            now.after[row.name] = row.policy
        now.doors.sort()
        put_ahead(session, now)

    def _put_in_force(self, session: Session, rows: Sequence[DoorRow], before: Sight, bundle: Bundle) -> None:
        shelf.put_in_force(session, bundle.manifest)
        put_ahead(session, None)
        if bundle.manifest.encoder_id != before.eyes.encoder_id:
            exchanged(session, (row.name for row in rows if row.encoder_id == before.eyes.encoder_id))
        for row in rows:
            policy = Policy.model_validate(row.policy)
            # A door that tried it has the threshold for it.
            if row.encoder_id == before.eyes.encoder_id:
                row.encoder_id = bundle.manifest.encoder_id
                # A distance of the encoder before means nothing now.
                row.policy_before = {}
                policy = tune.same_fmr(policy, before.calibration, bundle.calibration)
            self._desk.roll(session, [row], policy, bundle.calibration)

    def who_comes_again(self, encoder_id: str) -> list[str]:
        """Names of those whose photo is not kept: for another encoder they have to be enrolled again."""
        with self.store.read() as session:
            return portraits.without_crop(session, encoder_id)

    def _view(self, bundle: Bundle, eyes: Eyes, refused: str = "", *, older: bool = False) -> BundleView:
        manifest, calibration = bundle.manifest, bundle.calibration
        tau = tune.tau_for(calibration, tune.DEFAULT_FMR)
        return BundleView(
            name=manifest.name,
            version=manifest.version,
            encoder_id=manifest.encoder_id,
            created=manifest.created,
            licence=manifest.licence,
            trained_on=tuple(manifest.trained_on),
            size=len(bundle.onnx),
            card=bundle.model_card,
            tau=tau,
            fnmr=calibration.fnmr_at(tau),
            fnmr_between=tune.fnmr_interval(calibration, tau),
            identities=calibration.identities,
            doubt=calibration.doubt,
            milliseconds=_timed(eyes, bundle),
            refused=refused,
            older=older,
            again=tuple(self.who_comes_again(manifest.encoder_id)),
        )


def _timed(eyes: Eyes, bundle: Bundle) -> float:
    crop = bundle.golden.inputs[0]
    eyes.embed([crop])
    taken = []
    for _ in range(TIMED):
        began = time.perf_counter()
        eyes.embed([crop])
        taken.append(time.perf_counter() - began)
    return 1000 * min(taken)
