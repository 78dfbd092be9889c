"""The evidence behind a threshold: this door's visits of thirty days, its people, and what another one would change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import select

from admin_ui import journal, people, portraits, tune
from admin_ui.acts import record_act
from admin_ui.ahead import measured_since
from admin_ui.enrol import Known
from admin_ui.exhibits import Evidence, Expected, Gallery, Pair, Replay, Stop, Visits
from admin_ui.models import EventRow, MembershipRow
from admin_ui.premises import Premises
from admin_ui.store import find_door, utc_now
from admin_ui.views import Change, Curves, DoorOffline
from firmware_config.calibration import Calibration, fmr_for_gallery
from firmware_config.errors import BadInput, LatchkeyError
from firmware_config.face import FloatArray, Reason
from firmware_config.roster import Policy

log = logging.getLogger("latchkey.page.evidence")

DAYS: Final = 30
VISITS_SECONDS: Final = 30.0
"""How old the visits may be that a slider is moved over: nobody waits for a query at each step."""
MOST_VISITS: Final = 200_000
LISTED: Final = 50
"""Visits listed one by one; more are counted."""
PER_VISITS: Final = 10_000
PAIR_BLOCK: Final = 1024
"""Rows compared with all others at once: 40 MB for 10,000 people."""
STOPS: Final = {"relaxed": 1e-3, "balanced": 1e-4, "strict": 1e-5}
"""Name -> chance that one picture of a stranger opens, whoever they are like, for as many people as the door has."""
WOULD_CHANGE: Final = (Reason.GRANTED.value, Reason.UNKNOWN_FACE.value)
"""Reasons that hang on tau alone; a face that was too dark stays too dark."""


class EvidenceRoom(Premises):
    """Thresholds. service.Office says what all methods have in common."""

    def evidence(self, door: str) -> Evidence:
        """Raises BadInput where there is no such door."""
        with self.store.read() as session:
            row = find_door(session, door)
            policy, scale, generation = Policy.model_validate(row.policy), self._scale(session, row), row.generation
            before = Policy.model_validate(row.policy_before) if row.policy_before else None
            members = people.count_people(session, door)
        visits = self._visits(door)
        gallery = self._gallery(door, (generation, scale.encoder_id))
        rule, drawn = scale.at_door(policy), self._curves_of(scale.key)
        return Evidence(
            view=tune.threshold_view(door, rule, scale.calibration, (), visits.bins(), drawn=drawn),
            people=members,
            templates=gallery.templates,
            pair=gallery.pair,
            pair_tau=policy.tau,
            stops=stops(scale.calibration, gallery.templates),
            visits=len(visits.ids),
            undo=scale.at_door(before).tau if before is not None else None,
            follows=policy.fpir is not None,
            since=visits.since,
            carried_by=scale.title,
        )

    def expected(self, tau: float, templates: int, door: str = "") -> Expected:
        """door: whose distances count; "": those of the encoder in force. Raises BadInput for a tau that is no
        distance."""
        if not 0.0 <= tau <= 2.0:
            raise BadInput("A threshold is a distance from 0 to 2; move the slider.")
        if not door:
            return expected(self._sight.current().calibration, tau, templates)
        with self.store.read() as session:
            calibration = self._scale(session, find_door(session, door)).calibration
        return expected(calibration, tau, templates)

    def replay(self, door: str, tau: float) -> Replay:
        """What would have changed. Raises BadInput where there is no such door."""
        visits = self._visits(door)
        with self.store.read() as session:
            margin = Policy.model_validate(find_door(session, door).policy).margin
            refused = np.flatnonzero(visits.granted & ~(visits.distances <= tau))
            # Two within tau and too close to each other: it would have been ambiguous, and still refused.
            rival = (visits.runner_up <= tau) & (visits.runner_up - visits.distances < margin)
            admitted = np.flatnonzero(~visits.granted & (visits.distances <= tau) & ~rival)
            shown = {int(at): visits.ids[at] for at in [*refused[:LISTED], *admitted[:LISTED]]}
            query = select(EventRow).where(EventRow.door == door, EventRow.id.in_(list(shown.values())))
            views = {row.id: journal.view(row) for row in session.scalars(query)}
        return Replay(
            tau,
            len(visits.ids),
            tuple(views[shown[int(at)]] for at in refused[:LISTED] if shown[int(at)] in views),
            len(refused),
            tuple(views[shown[int(at)]] for at in admitted[:LISTED] if shown[int(at)] in views),
            len(admitted),
        )

    def undo_tau(self, door: str, by: str) -> Change:
        """The threshold that was there before the last change. Raises BadInput where there is none, DoorOffline."""
        with self._changing:
            with self.store.read() as session:
                find_door(session, door)
            if not self.link.presence(door).online:
                raise DoorOffline(f"{door} is offline, so its threshold stays. Nothing was changed; try again later.")
            with self.store.write() as session:
                row = find_door(session, door)
                if not row.policy_before:
                    raise BadInput(f"The threshold of {door} was not changed, so there is nothing to undo.")
                now, before = Policy.model_validate(row.policy), Policy.model_validate(row.policy_before)
                # The rest of the rule may have been changed since, and stays.
                kept = {"tau": before.tau, "tau_strict": before.tau_strict, "fpir": before.fpir}
                row.policy_before = {}
                self._desk.roll(session, [row], now.model_copy(update=kept))
                scale = self._scale(session, row)
                undone, tau = scale.at_door(now).tau, scale.at_door(Policy.model_validate(row.policy)).tau
                record_act(session, by, "undo_tau", f"{door}: {undone:.3f} -> {tau:.3f}")
            news = self._desk.send([door])
        return Change(f"The threshold of {door} is {tau:.3f} again.", news)

    def _curves_of(self, scale: str) -> Callable[[Calibration, float, float], Curves]:
        """tune.curves, once for a range of the slider. scale: its key."""

        def drawn(calibration: Calibration, low: float, high: float) -> Curves:
            with self._remembered.lock:
                held = self._remembered.curves.get(scale)
            if held is not None and held[:2] == (low, high):
                return held[2]
            made = tune.curves(calibration, low, high)
            with self._remembered.lock:
                self._remembered.curves = {scale: (low, high, made)}
            return made

        return drawn

    def _visits(self, door: str) -> Visits:
        """At most VISITS_SECONDS old where nobody asked for a while; while a slider is moved, those of before until the
        new ones are read: a hundred thousand take half a second, and nobody waits for them in the middle of a drag."""
        now = time.monotonic()
        with self.store.read() as session:
            since = measured_since(session, door)
        with self._remembered.lock:
            held = self._remembered.visits.get(door)
            if held is not None and held.since != since:
                held = None
            if held is not None and now - held.read_at < VISITS_SECONDS:
                return held
            behind = held is not None and now - held.read_at < 2 * VISITS_SECONDS
            begins = behind and door not in self._remembered.visits_read
            if begins:
                self._remembered.visits_read.add(door)
        if held is None or not behind:
            return self._read_visits(door)
        if begins:
            threading.Thread(target=self._read_behind, args=(door,), name=f"visits-{door}", daemon=True).start()
        return held

    def _read_behind(self, door: str) -> None:
        try:
            self._read_visits(door)
        except LatchkeyError as error:
            # Whoever asks next reads them in the open, and is told.
            log.warning("The visits of %s were not read anew: %s", door, error)
        finally:
            with self._remembered.lock:
                self._remembered.visits_read.discard(door)

    def _read_visits(self, door: str) -> Visits:
        now = time.monotonic()
        with self.store.read() as session:
            find_door(session, door)
            since = measured_since(session, door)
        first = utc_now() - timedelta(days=DAYS)
        # The runner-up lies in the row's JSON; asking for that part alone spares reading the rest.
        runner_up = EventRow.detail["runner_up"].as_float()
        query = (
            select(EventRow.id, EventRow.distance, EventRow.outcome, runner_up)
            .where(EventRow.door == door, EventRow.at >= max(since or first, first), EventRow.distance.is_not(None))
            .where(EventRow.reason.in_(WOULD_CHANGE))
            .order_by(EventRow.at.desc())
            .limit(MOST_VISITS)
        )
        with self.store.read() as session:
            rows = session.execute(query).all()
        read = Visits(
            tuple(row[0] for row in rows),
            np.array([row[1] for row in rows], dtype=np.float64),
            np.array([row[3] if row[3] is not None else np.nan for row in rows], dtype=np.float64),
            np.array([row[2] == "granted" for row in rows], dtype=np.bool_),
            now,
            since,
        )
        with self._remembered.lock:
            self._remembered.visits[door] = read
        return read

    def _gallery(self, door: str, place: tuple[int, str]) -> Gallery:
        """place: generation and encoder_id. Opened once for each list: ten thousand sealed templates take a while."""
        with self._remembered.lock:
            held = self._remembered.galleries.get(door)
        if held is not None and held.place == place:
            return held
        with self.store.read() as session:
            known = portraits.known_people(session, place[1], self._keyring.store)
            query = select(MembershipRow.person_id).where(MembershipRow.door_name == door)
            members = set(session.scalars(query).all())
        here = [one for one in known if one.person_id in members]
        made = Gallery(place, len(here), nearest_pair(here))
        with self._remembered.lock:
            self._remembered.galleries[door] = made
        return made


def stops(calibration: Calibration, templates: int) -> tuple[Stop, ...]:
    """STOPS for a gallery of so many templates; never stricter than what the bundle has measured."""
    lowest = min(point.fmr for point in calibration.operating_points)
    found = []
    for name, fpir in STOPS.items():
        wanted = fmr_for_gallery(fpir, max(templates, 1))
        # Rounded down to what the slider shows: never more lenient than the name says.
        tau = np.floor(tune.tau_for(calibration, max(wanted, lowest)) / tune.SLIDER_STEP) * tune.SLIDER_STEP
        tau = round(float(tau), 3)
        chance = let_in(calibration.fmr_at(tau), max(templates, 1))
        found.append(Stop(name, tau, fpir, chance, limited=wanted < lowest))
    return tuple(found)


def let_in(fmr: float, templates: int) -> float:
    """1 - (1 - FMR)^templates, the other way round of calibration.fmr_for_gallery: the chance of one picture."""
    return float(-np.expm1(max(templates, 0) * np.log1p(-min(fmr, 1 - 1e-12))))


def expected(calibration: Calibration, tau: float, templates: int) -> Expected:
    """let_in of so many visits, and FNMR."""
    fmr, fnmr = tune.fmr_interval(calibration, tau), tune.fnmr_interval(calibration, tau)
    return Expected(
        PER_VISITS * let_in(calibration.fmr_at(tau), templates),
        (PER_VISITS * let_in(fmr[0], templates), PER_VISITS * let_in(fmr[1], templates)),
        100 * calibration.fnmr_at(tau),
        (100 * fnmr[0], 100 * fnmr[1]),
    )


def nearest_pair(here: Sequence[Known]) -> Pair | None:
    """The two different people whose photos are nearest; None below two people. Exact, block by block."""
    if len({one.person_id for one in here}) < 2:
        return None
    vectors: FloatArray = np.stack([one.vector for one in here])
    owner = np.unique([one.person_id for one in here], return_inverse=True)[1]
    best = (-2.0, 0, 0)
    for start in range(0, len(here), PAIR_BLOCK):
        block = slice(start, start + PAIR_BLOCK)
        cosines = vectors[block] @ vectors.T
        cosines[owner[block, None] == owner[None, :]] = -2.0
        at = int(np.argmax(cosines))
        row, column = divmod(at, len(here))
        if cosines[row, column] > best[0]:
            best = (float(cosines[row, column]), start + row, column)
    apart = float(np.sqrt(max(0.0, 2.0 - 2.0 * best[0])))
    one, other = sorted((here[best[1]].name, here[best[2]].name))
    return Pair(one, other, apart)
