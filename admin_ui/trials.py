"""What the office does about an encoder that runs ahead: at one door first, then at all, or taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui import portraits, shelf, tune
from admin_ui.acts import record_act
from admin_ui.ahead import Ahead, ahead, exchanged, fresh_ahead, model_of, put_ahead
from admin_ui.bundles import Bundles, Progress
from admin_ui.doors import applied_at
from admin_ui.evidence import MOST_VISITS, WOULD_CHANGE
from admin_ui.exhibits import Visits
from admin_ui.models import DoorRow, EventRow
from admin_ui.sight import Sight
from admin_ui.store import find_door
from admin_ui.views import Change, ThresholdView
from firmware_config.compatible import crossed
from firmware_config.errors import BadInput
from firmware_config.roster import Policy

NOTHING_AHEAD: Final = "No encoder runs ahead of the one in force (any more). Reload the page."


@dataclass(frozen=True)
class TrialDoor:
    """One door that runs ahead. passed: it says that it runs the encoder, for which its self-test had to pass. refused:
    why it does not, a sentence, "". plot: the bundle's calibration with this door's own distances since then, and the
    threshold that it judges by. let_in, turned_away: visits since; median: distance of those let in, NaN for none."""

    name: str
    passed: bool
    refused: str
    plot: ThresholdView
    let_in: int
    turned_away: int
    median: float


@dataclass(frozen=True)
class Trial:
    """encoder_id, title: of what runs ahead. since: aware, UTC. carried: with lists of the encoder in force.
    everywhere: all doors run it. waiting: names of those who have no template of it and keep the one before."""

    encoder_id: str
    title: str
    since: datetime
    carried: bool
    everywhere: bool
    doors: tuple[TrialDoor, ...]
    waiting: tuple[str, ...]


class Trials(Bundles):
    """Encoders at one door first. service.Office says what all methods have in common."""

    def try_file(self, file: Path, door: str, by: str, *, leave_out: bool = False, progress: Progress) -> Change:
        """try_model of an uploaded file."""
        return self.try_model(file.read_bytes(), door, by, leave_out=leave_out, progress=progress)

    def try_model(
        self, data: bytes, door: str, by: str, *, leave_out: bool = False, progress: Progress = lambda _made, _of: None
    ) -> Change:
        """Send a bundle to one door; all others, and the page, stay with the encoder in force. Templates are made as
        ship_model makes them; where somebody has none and the bundle proves that it may be compared with the encoder in
        force, the door keeps its list. Raises BundleRefused, ComesAgain, BadInput."""
        bundle = self._shelf.read(data)
        with self._changing:
            before = self._sight.current()
            with self.store.read() as session:
                find_door(session, door)
                self._refuse_second(session, bundle)
            if bundle.manifest.encoder_id == before.eyes.encoder_id:
                raise BadInput("This is the encoder in force; no door has to try it. Ship it to all doors.")
            eyes = before.eyes.with_encoder(bundle.onnx, bundle.quality)
            shelf.check_successor(bundle, before.shelved.bundle, eyes, rollback=False)
            carried = self._may_go(bundle, before, leave_out=leave_out)
            self._shelf.keep(data)
            made = portraits.add_all_templates(self.store, eyes, self._keyring.store, progress)
            with self.store.write() as session:
                made += portraits.add_templates(session, eyes, self._keyring.store)
                now = ahead(session) or fresh_ahead(bundle.manifest, carried=carried)
                self._go_ahead(session, now, [find_door(session, door)], before, bundle)
                record_act(session, by, "try_model", f"{now.title} ({now.encoder_id[:12]}) at {door}")
            news = self._desk.send([door], model=True)
        kept = " It keeps its list, with which the encoder may be compared." if carried else ""
        told = f"The encoder {now.title} is sent to {door} alone. Templates made for it: {made}."
        return Change(told + kept, news)

    def ship_rest(self, by: str, *, leave_out: bool = False, progress: Progress = lambda _made, _of: None) -> Change:
        """What one door tried goes to all. Raises BadInput where nothing is tried, ComesAgain."""
        with self.store.read() as session:
            now = self._now(session)
        return self.ship_model(self._shelf.kept(now.encoder_id), by, leave_out=leave_out, progress=progress)

    def take_back(self, by: str) -> Change:
        """Every door that runs ahead goes back to the encoder in force, with the threshold that it had. Raises
        BadInput."""
        with self._changing:
            force = self._sight.current()
            with self.store.write() as session:
                now = self._now(session)
                put_ahead(session, None)
                exchanged(session, now.doors)
                rows = list(session.scalars(select(DoorRow).where(DoorRow.name.in_(now.doors)).order_by(DoorRow.name)))
                for row in rows:
                    policy = _restored(row, now, force, self._sight.of(now.encoder_id))
                    row.encoder_id = force.eyes.encoder_id
                    row.policy_before = {}
                    # The list says that the door may go back to an older encoder: rollout.gone_back.
                    self._desk.roll(session, [row], policy, force.calibration)
                record_act(session, by, "take_back_model", f"{now.title} at {', '.join(now.doors)}")
            news = self._desk.send([row.name for row in rows], model=True)
        manifest = force.shelved.bundle.manifest
        return Change(f"{now.title} is taken back; {manifest.name} {manifest.version} runs at all doors.", news)

    def trial(self) -> Trial | None:
        """What runs ahead, with what its doors have seen since. None where all run the encoder in force."""
        with self.store.read() as session:
            now = ahead(session)
            if now is None:
                return None
            sight, force = self._sight.of(now.encoder_id, session), self._sight.current(session)
            rows = session.scalars(select(DoorRow).order_by(DoorRow.name)).all()
            doors = [self._door_on_trial(session, row, now, sight, force) for row in rows if row.name in now.doors]
            return Trial(
                now.encoder_id,
                now.title,
                now.since,
                now.carried,
                len(doors) == len(rows),
                tuple(doors),
                tuple(portraits.without_crop(session, now.encoder_id)),
            )

    def wanted_model(self, door: str) -> str:
        """encoder_id that a door shall run. Raises BadInput where there is none."""
        with self.store.read() as session:
            return model_of(session, find_door(session, door))

    def wait_model(self, door: str, encoder_id: str, timeout_s: float = 10.0) -> bool:
        """Wait until a door says that it runs an encoder, for which it has passed its self-test."""
        return self._desk.wait_model(door, encoder_id, timeout_s)

    def _door_on_trial(self, session: Session, row: DoorRow, now: Ahead, sight: Sight, force: Sight) -> TrialDoor:
        applied = applied_at(row, self.link.presence(row.name))
        policy, calibration = Policy.model_validate(row.policy), sight.calibration
        proof = sight.shelved.bundle.proofs.get(force.eyes.encoder_id)
        if now.carried and proof is not None:
            policy, calibration = crossed(policy, proof, portraits.count_templates(session, row)), proof.cross
        query = (
            select(EventRow.distance, EventRow.outcome)
            .where(EventRow.door == row.name, EventRow.at >= now.since, EventRow.distance.is_not(None))
            .where(EventRow.reason.in_(WOULD_CHANGE))
            .order_by(EventRow.at.desc())
            .limit(MOST_VISITS)
        )
        found = session.execute(query).all()
        distances = np.array([one[0] for one in found], dtype=np.float64)
        granted = np.array([one[1] == "granted" for one in found], dtype=np.bool_)
        visits = Visits((), distances, np.full(len(found), np.nan), granted, 0.0)
        refused = bool(applied and applied.refused and applied.refused_topic == "model")
        return TrialDoor(
            row.name,
            passed=applied is not None and applied.encoder_id == now.encoder_id,
            refused=(applied.refused_why or applied.refused) if applied is not None and refused else "",
            plot=tune.threshold_view(row.name, policy, calibration, (), visits.bins(), all_visits=True),
            let_in=int(granted.sum()),
            turned_away=int((~granted).sum()),
            median=float(np.median(distances[granted])) if granted.any() else float("nan"),
        )

    @staticmethod
    def _now(session: Session) -> Ahead:
        now = ahead(session)
        if now is None:
            raise BadInput(NOTHING_AHEAD)
        return now


def _restored(row: DoorRow, now: Ahead, force: Sight, other: Sight) -> Policy:
    """The threshold of before, unless somebody has moved it since: then the one where errors are as rare."""
    policy = Policy.model_validate(row.policy)
    if now.carried or row.encoder_id == force.eyes.encoder_id:
        return policy
    before, after = now.before.get(row.name), now.after.get(row.name)
    if before is None or after is None or after.get("tau") != policy.tau:
        return tune.same_fmr(policy, other.calibration, force.calibration)
    return policy.model_copy(update={name: before[name] for name in ("tau", "tau_strict")})
