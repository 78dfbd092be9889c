"""The office: everything that the page and the command line do, in one object. Both are wiring around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from admin_ui import enrol as photos
from admin_ui import journal, people, shelf, tune
from admin_ui.accounts import PasswordCheck
from admin_ui.desk import FrontDesk
from admin_ui.eyes import Eyes, open_eyes
from admin_ui.keyring import Keyring
from admin_ui.models import DoorRow
from admin_ui.sight import SightKeeper
from admin_ui.store import find_door, find_person, new_door, open_store, record_act
from admin_ui.views import (
    Change,
    DoorOffline,
    DoorView,
    EventView,
    PersonView,
    ThresholdView,
    UnlockAnswer,
    Verdict,
)
from firmware_config.errors import BadInput
from firmware_config.messages import Topics
from firmware_config.pairing import PAIRING
from firmware_config.roster import Policy
from firmware_config.settings import AdminSettings, BrokerSettings

RECENT_EVENTS = 200
"""Dots in the threshold's picture: more would hide its curves."""


class Office:
    """All methods are safe to call from any thread. All raise BadInput (what was handed in is wrong), BadState
    (what is kept is not usable) or LostLink (the door or broker cannot be reached; views.DoorOffline); the text
    of each is a whole sentence to show to the person, and nothing was changed.

    `by` is the account that acts; it goes into the record of acts.
    """

    def __init__(
        self,
        settings: AdminSettings,
        *,
        default_bundle: Path | None = None,
        make_eyes: Callable[[bytes], Eyes] = open_eyes,
    ) -> None:
        """Opens store, keys and encoder. default_bundle: what a new site starts with, none: the package's.

        make_eyes: encoder.onnx -> Eyes. Raises BadState, LostLink (the face detector could not be fetched)."""
        self.settings = settings
        self.site = settings.site
        self._keyring = Keyring(settings.state)
        self.store = open_store(settings.store, settings.state)
        self._shelf = shelf.Shelf(settings.state, self._keyring.site, default_bundle)
        self._sight = SightKeeper(self._shelf, self.store, make_eyes)
        self._check = PasswordCheck(self.store)
        self._desk = FrontDesk(self.site, settings.broker, self._keyring, self.store, self._model_file)
        self.link = self._desk.link
        # One change at a time in this process; the store's own lock keeps other processes apart.
        self._changing = threading.Lock()

    def start(self) -> None:
        """Connect to the broker, in the background: one that is down is tried until it is up."""
        self.link.start()

    def stop(self) -> None:
        """Disconnect and close the store."""
        self.link.stop()
        self.store.close()

    def link_sentence(self) -> str:
        """ "" while connected to the broker, otherwise a sentence that says why not."""
        why = self.link.why_down
        return f"The page has no connection to the broker: {why}. It keeps trying." if why else ""

    def check_password(self, account: str, password: str) -> bool:
        """Takes the same time (argon2id, some 50 ms) for an unknown account as for a wrong password."""
        return self._check(account, password)

    def session_key(self) -> bytes:
        """32 random bytes, kept across restarts: what the page signs its session cookies with."""
        return self._keyring.session_bytes

    def people(self) -> list[PersonView]:
        """All, by name."""
        with self.store.read() as session:
            return people.all_people(session)

    def portrait(self, person_id: str) -> bytes:
        """The stored 112x112 crop as PNG bytes."""
        with self.store.read() as session:
            return people.portrait_png(session, person_id, self._keyring.store)

    def examine(self, photo: bytes) -> Verdict:
        """Look at a photo (the bytes of an image file: JPEG, PNG, WebP, ...) before enrolling; saves nothing.

        Never raises for a bad photo: the verdict says what is wrong and what to do."""
        return photos.examine(photo, self._sight.current().eyes)

    def enrol(
        self,
        name: str,
        photo: bytes,
        doors: Sequence[str],
        by: str,
        *,
        confirm_duplicate: bool = False,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
    ) -> Change:
        """Save a person and send the roster of each door. With no link the person is saved all the same, and
        Change.news says that the door will learn of it when the link is back.

        doors: names; empty: all. Raises BadInput: bad photo, empty name, name taken, no such door;
        views.LooksLike (a BadInput): same face under another name, unless confirm_duplicate."""
        name = people.clean_name(name)
        if valid_from is not None and valid_until is not None and valid_until <= valid_from:
            raise BadInput("The last day lies before the first. Correct the dates.")
        with self._changing:
            sight = self._sight.current()
            verdict = photos.examine(photo, sight.eyes)
            if not verdict.ok:
                raise BadInput(" ".join(verdict.sentences))
            with self.store.write() as session:
                shelf.check_in_force(session, sight.eyes.encoder_id)
                people.check_name_free(session, name)
                rows = people.doors_named(session, doors)
                if not confirm_duplicate:
                    people.check_not_duplicate(
                        session, verdict, sight.eyes.encoder_id, sight.calibration, self._keyring.store
                    )
                person = people.add_person(session, name, verdict, sight.eyes.encoder_id, rows, self._keyring.store)
                person.valid_from, person.valid_until = valid_from, valid_until
                view = people.view(person)
                self._desk.roll(session, rows)
                record_act(session, by, "enrol", f"{name} ({view.id}) at {', '.join(view.doors) or 'no door'}")
            news = self._desk.send(view.doors)
        return Change(f"{name} is enrolled.", news, view)

    def set_doors(self, person_id: str, doors: Sequence[str], by: str) -> Change:
        """Let a person use exactly these doors (empty: none), and send the rosters that change."""
        with self._changing:
            with self.store.write() as session:
                person = find_person(session, person_id)
                wanted = {row.name for row in people.doors_named(session, doors)} if doors else set()
                touched = sorted(wanted ^ {member.door_name for member in person.memberships})
                people.set_memberships(session, person, wanted)
                self._desk.roll(session, [find_door(session, name) for name in touched])
                view = people.view(person)
                record_act(session, by, "set_doors", f"{person.name} ({person.id}): {', '.join(view.doors)}")
            news = self._desk.send(touched)
        return Change(f"{view.name} may use {', '.join(view.doors) or 'no door'}.", news, view)

    def remove(self, person_id: str, by: str) -> Change:
        """Erase a person, templates and crop with them, and send the rosters."""
        with self._changing:
            with self.store.write() as session:
                person = find_person(session, person_id)
                view = people.view(person)
                session.delete(person)
                session.flush()
                self._desk.roll(session, [find_door(session, name) for name in view.doors])
                record_act(session, by, "remove", f"{view.name} ({view.id})")
            self.store.scrub()
            news = self._desk.send(view.doors)
        return Change(f"{view.name} is removed.", news, view)

    def doors(self) -> list[DoorView]:
        """All, by name."""
        with self.store.read() as session:
            return [self._desk.view(session, row) for row in session.scalars(select(DoorRow).order_by(DoorRow.name))]

    def door(self, name: str) -> DoorView:
        """Raises BadInput where there is no such door."""
        with self.store.read() as session:
            return self._desk.view(session, find_door(session, name))

    def add_door(
        self,
        name: str,
        by: str,
        out: Path | None = None,
        broker: BrokerSettings | None = None,
        lock_broker: BrokerSettings | None = None,
    ) -> Path:
        """Make a door: keys, first roster, and the folder to carry to it (out, or one in the state folder), with
        `door` and `lock` in it -> that folder.

        broker, lock_broker: how door and lock reach the broker; none: the page's address without its user.
        Raises BadInput for a bad or taken name."""
        folder = out or self.settings.state / "pairings" / name
        broker = broker or self.settings.broker.model_copy(update={"username": "", "password_file": None})
        with self._changing:
            if (folder / "door" / PAIRING).exists():
                raise BadInput(f"{folder} holds a pairing already. Choose another folder, or move it away.")
            sight = self._sight.current()
            self._keyring.make_door(name)
            with self.store.write() as session:
                row = new_door(session, name, sight.eyes.encoder_id)
                self._desk.roll(session, [row], tune.policy_at(sight.calibration))
                self._keyring.write_folders(folder, Topics(self.site, name), broker, lock_broker or broker)
                record_act(session, by, "add_door", name)
            self._desk.send([name])
        return folder

    def wait_applied(self, door: str, generation: int, timeout_s: float = 10.0) -> DoorView:
        """Wait until the door runs this generation or a later one, or refused it, or the time is over: look at
        DoorView.applied_generation and .refused."""
        self._desk.wait_applied(door, generation, timeout_s)
        return self.door(door)

    def unlock(self, door: str, by: str, why: str = "") -> UnlockAnswer:
        """Ask the door to unlock now. Raises DoorOffline when it cannot be asked or does not answer in 3 s."""
        with self.store.write() as session:
            find_door(session, door)
            record_act(session, by, "unlock", f"{door}: {why[:256]}" if why else door)
        answer = self.link.ask_unlock(door, by, why)
        sentence = f"{door} is unlocked." if answer.ok else answer.sentence or f"{door} refused: {answer.reason}."
        return UnlockAnswer(answer.ok, answer.reason, sentence)

    def events(self, door: str = "", limit: int = 50) -> list[EventView]:
        """The newest first. door: "" for all."""
        return journal.newest_events(self.store, door, limit)

    def threshold(self, door: str) -> ThresholdView:
        """What to draw for a door. Raises BadInput where there is none."""
        recent = journal.newest_events(self.store, door, RECENT_EVENTS)
        distances = [(one.distance, one.outcome) for one in recent if one.distance is not None]
        return tune.threshold_view(door, self._policy(door), self._sight.current().calibration, distances)

    def explain_tau(self, door: str, tau: float) -> str:
        """What this threshold would mean, for a person: false matches and false rejections in whole numbers."""
        with self.store.read() as session:
            count = people.count_people(session, find_door(session, door).name)
        return tune.explain(self._sight.current().calibration, tau, count)

    def set_tau(self, door: str, tau: float, by: str) -> Change:
        """Change a door's threshold and send it. Raises BadInput outside the slider's range, DoorOffline while the
        door cannot be reached: then nothing is changed."""
        calibration = self._sight.current().calibration
        with self._changing:
            policy = self._policy(door)
            low, high = tune.slider_range(calibration, policy.tau)
            if not low <= tau <= high:
                raise BadInput(f"The threshold goes from {low:g} to {high:g}, not to {tau:g}. Nothing was changed.")
            if not self.link.presence(door).online:
                raise DoorOffline(
                    f"{door} is offline, so its threshold stays at {policy.tau:.3f}. Nothing was changed; move the "
                    "slider again when the door is back."
                )
            with self.store.write() as session:
                row = find_door(session, door)
                changed = tune.with_tau(Policy.model_validate(row.policy), calibration, tau)
                self._desk.roll(session, [row], changed)
                record_act(session, by, "set_tau", f"{door}: {policy.tau:.3f} -> {tau:.3f}")
            news = self._desk.send([door])
        return Change(f"The threshold of {door} is {tau:.3f}.", news)

    def ship_model(self, data: bytes, by: str, *, rollback: bool = False) -> Change:
        """Verify a bundle (release key or site key), make everybody's templates for it, sign it with the site key,
        send it and then the rosters: nobody is enrolled again, thresholds keep their false match rates.

        rollback: let it be older than the one in force. Raises BundleRefused (a BadInput)."""
        bundle = self._shelf.read(data)
        name = f"{bundle.manifest.name} {bundle.manifest.version}"
        with self._changing:
            before = self._sight.current()
            eyes = before.eyes.with_encoder(bundle.onnx)
            shelf.check_successor(bundle, before.shelved.bundle, eyes, rollback=rollback)
            self._shelf.keep(data)
            made = people.add_all_templates(self.store, eyes, self._keyring.store)
            with self.store.write() as session:
                # Whoever was enrolled from a shell meanwhile.
                made += people.add_templates(session, eyes, self._keyring.store)
                shelf.put_in_force(session, bundle.manifest)
                rows = people.doors_named(session, ())
                for row in rows:
                    row.encoder_id = eyes.encoder_id
                    policy = Policy.model_validate(row.policy)
                    self._desk.roll(session, [row], tune.same_fmr(policy, before.calibration, bundle.calibration))
                record_act(session, by, "ship_model", f"{name} ({eyes.encoder_id[:12]}), {made} templates")
            news = self._desk.send([row.name for row in rows], model=True)
        return Change(f"The encoder {name} is sent; {made} templates were made for it.", news)

    def _model_file(self) -> tuple[str, bytes]:
        sight = self._sight.current()
        return sight.eyes.encoder_id, sight.shelved.file

    def _policy(self, door: str) -> Policy:
        with self.store.read() as session:
            return Policy.model_validate(find_door(session, door).policy)
