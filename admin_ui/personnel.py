"""What the office does about people: look at photos, enrol, assign doors, remove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin_ui import enrol as photos
from admin_ui import options, people, portraits, shelf, tune
from admin_ui.acts import record_act
from admin_ui.enrol import Known
from admin_ui.erasure import erase
from admin_ui.models import ActRow
from admin_ui.premises import Premises
from admin_ui.store import find_door, find_person, name_key, utc_now
from admin_ui.views import Change, Glance, Likeness, LooksUnlike, PeopleQuery, PersonView, TextChanged, Verdict
from firmware_config.errors import BadInput
from firmware_config.face import distance

MUCH_THE_SAME: Final = 0.5
"""Share of tau: a photo within this of one that is there adds little that the door does not know."""


class Personnel(Premises):
    """People. service.Office says what all methods have in common."""

    def people(self) -> list[PersonView]:
        """All, by name."""
        with self.store.read() as session:
            return people.all_people(session)

    def find_people(self, wanted: PeopleQuery) -> tuple[list[PersonView], int]:
        """-> some of them, and how many there are in all. Raises BadInput."""
        with self.store.read() as session:
            return people.find_people(session, wanted, utc_now())

    def person(self, person_id: str) -> PersonView:
        """Raises BadInput where they are not enrolled (any more)."""
        with self.store.read() as session:
            return people.view(find_person(session, person_id))

    def portrait(self, person_id: str) -> bytes:
        """The newest kept 112x112 crop as PNG bytes. Raises BadInput where none is kept."""
        with self.store.read() as session:
            return portraits.portrait_png(session, person_id, self._keyring.store)

    def examine(self, photo: bytes) -> Verdict:
        """Look at a photo (the bytes of an image file: JPEG, PNG, WebP, ...) before enrolling; saves nothing.

        Never raises for a bad photo: the verdict says what is wrong and what to do."""
        return photos.examine(photo, self._sight.current().eyes)

    def glance(self, picture: bytes, full_width: int = 0) -> Glance:
        """What a webcam that is on sees; saves nothing. full_width: pixels, of the photo that it would take. Raises
        BadInput for what is no image."""
        return photos.glance(picture, self._sight.current().eyes, full_width)

    def compare_photo(self, photo: bytes) -> tuple[Verdict, Likeness | None]:
        """As examine, and who of everybody enrolled looks most like it."""
        sight = self._sight.current()
        verdict = photos.examine(photo, sight.eyes)
        if not verdict.ok:
            return verdict, None
        with self.store.read() as session:
            known = self._everybody(session, sight.eyes.encoder_id)
        return verdict, portraits.likeness_among(known, verdict, sight.calibration)

    def _everybody(self, session: Session, encoder_id: str) -> Sequence[Known]:
        """portraits.known_people for a look that saves nothing: opened once for as long as nothing is done in the
        office, by whatever process, since ten thousand sealed templates take a tenth of a second."""
        place = (session.scalar(select(func.max(ActRow.seq))) or 0, encoder_id)
        with self._remembered.lock:
            held = self._remembered.everybody
        if held is not None and held[0] == place:
            return held[1]
        known = portraits.known_people(session, encoder_id, self._keyring.store)
        with self._remembered.lock:
            self._remembered.everybody = (place, known)
        return known

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
        consent: bool = False,
        text_read: int | None = None,
    ) -> Change:
        """Save a person and send the roster of each door. With no link the person is saved all the same, and
        Change.news says that the door will learn of it when the link is back.

        doors: names; empty: all. consent: they have agreed to the text. text_read: its version, as it was shown to
        them; None: the text of now. Raises BadInput: bad photo, empty name, name taken, no such door; views.LooksLike
        (a BadInput): same face under another name, unless confirm_duplicate; views.TextChanged (one too).
        """
        name = people.clean_name(name)
        check_dates(valid_from, valid_until)
        with self._changing:
            sight = self._sight.current()
            verdict = photos.examine(photo, sight.eyes)
            if not verdict.ok:
                raise BadInput(" ".join(verdict.sentences))
            with self.store.write() as session:
                shelf.check_in_force(session, sight.eyes.encoder_id)
                version = options.consent(session)[0]
                if consent and text_read is not None and text_read != version:
                    raise TextChanged(
                        "The text that people agree to has changed since it was shown. Have them read the new one, "
                        "then tick the box anew. Nothing was saved."
                    )
                people.check_name_free(session, name)
                rows = people.doors_named(session, doors)
                if not confirm_duplicate:
                    portraits.check_not_duplicate(
                        session, verdict, sight.eyes.encoder_id, sight.calibration, self._keyring.store
                    )
                person = people.add_person(
                    session,
                    name,
                    verdict,
                    sight.eyes.encoder_id,
                    rows,
                    self._keyring.store,
                    keep_photo=options.photos_kept(session),
                )
                self._also_ahead(session, person.id, person.portraits[0], verdict)
                person.valid_from, person.valid_until = valid_from, valid_until
                if consent:
                    person.consent_at, person.consent_version = utc_now(), version
                view = people.view(person)
                self._desk.roll(session, rows)
                agreed = f"consent {view.consent_version}" if consent else "no consent recorded"
                record_act(session, by, "enrol", f"{view.id} at {', '.join(view.doors) or 'no door'}, {agreed}")
            news = self._desk.send(view.doors)
        return Change(f"{name} is enrolled.", news, view)

    def add_photo(self, person_id: str, photo: bytes, by: str, *, confirm_unlike: bool = False) -> Change:
        """One photo more of somebody -> what it gains, in Change.sentence.

        Raises BadInput; views.LooksUnlike where it looks like somebody else, unless confirm_unlike."""
        with self._changing:
            sight = self._sight.current()
            verdict = photos.examine(photo, sight.eyes)
            if not verdict.ok or verdict.embedding is None:
                raise BadInput(" ".join(verdict.sentences))
            with self.store.write() as session:
                shelf.check_in_force(session, sight.eyes.encoder_id)
                person = find_person(session, person_id)
                if len(person.portraits) >= people.MOST_PHOTOS:
                    raise BadInput(f"{person.name} has {people.MOST_PHOTOS} photos already, which is the most.")
                known = portraits.known_people(session, sight.eyes.encoder_id, self._keyring.store)
                own = [one.vector for one in known if one.person_id == person_id]
                apart = float(distance(np.stack(own), verdict.embedding).min()) if own else None
                largest = tune.tau_for(sight.calibration, tune.LOOSEST_FMR)
                if apart is not None and apart > largest and not confirm_unlike:
                    raise LooksUnlike(
                        f"This does not look like {person.name} (distance {apart:.2f}). Choose another photo, "
                        "or confirm that it is the same person."
                    )
                portrait = portraits.new_portrait(
                    person.id,
                    verdict,
                    sight.eyes.encoder_id,
                    self._keyring.store,
                    keep_photo=options.photos_kept(session),
                )
                person.portraits.append(portrait)
                person.revision += 1
                session.flush()
                self._also_ahead(session, person.id, portrait, verdict)
                view = people.view(person)
                self._desk.roll(session, [find_door(session, name) for name in view.doors])
                record_act(session, by, "add_photo", f"{person.id}: photo {view.photos}")
            news = self._desk.send(view.doors)
        tau = tune.tau_for(sight.calibration, tune.DEFAULT_FMR)
        return Change(f"{view.name} has {view.photos} photos now. {gained(apart, tau)}", news, view)

    def set_doors(self, person_id: str, doors: Sequence[str], by: str) -> Change:
        """Let a person use exactly these doors (empty: none), and send the rosters that change."""
        with self._changing:
            with self.store.write() as session:
                person = find_person(session, person_id)
                wanted = {row.name for row in people.doors_named(session, doors)} if doors else set()
                touched = sorted(wanted ^ {member.door_name for member in person.memberships})
                people.set_memberships(session, person, wanted)
                person.revision += 1
                self._desk.roll(session, [find_door(session, name) for name in touched])
                view = people.view(person)
                record_act(session, by, "set_doors", f"{person.id}: {', '.join(view.doors) or 'no door'}")
            news = self._desk.send(touched)
        return Change(f"{view.name} may use {', '.join(view.doors) or 'no door'}.", news, view)

    def remove(self, person_id: str, by: str, typed: str | None = None) -> Change:
        """Erase a person for good: photo, templates and name, here, at every door, and in what a backup brings back.

        typed: what somebody wrote to confirm it, has to be the name; None: confirmed otherwise. Change.sentence quotes
        the receipt, which stays in the record of acts and names nobody. Raises BadInput."""
        with self._changing:
            with self.store.write() as session:
                person = find_person(session, person_id)
                view = people.view(person)
                if typed is not None and name_key(typed) != person.name_key:
                    raise BadInput(f"Type the name, {view.name}, to erase them. Nothing was changed.")
                receipt = erase(session, person)
                self._desk.roll(session, [find_door(session, name) for name in receipt.doors])
                record_act(session, by, "erase", receipt.sentence)
            with self._remembered.lock:
                self._remembered.everybody = None
            self.store.scrub()
            news = self._desk.send(receipt.doors)
        return Change(f"{view.name} is removed. {receipt.sentence}", news, view)


def check_dates(valid_from: datetime | None, valid_until: datetime | None) -> None:
    """Raises BadInput where a person would never be let in."""
    if valid_from is not None and valid_until is not None and valid_until <= valid_from:
        raise BadInput("The last day lies before the first. Correct the dates.")


def gained(apart: float | None, tau: float) -> str:
    """What one photo more is worth. apart: its distance to the nearest of that person that is there; None: none is."""
    if apart is None:
        return "It is the first for the encoder of now."
    if apart <= MUCH_THE_SAME * tau:
        return (
            f"It looks almost like one that was there (distance {apart:.2f}), so it gains little; one in other light, "
            "or with or without glasses, would gain more."
        )
    near = "near the threshold" if apart <= tau else "beyond the threshold"
    return (
        f"It is at distance {apart:.2f} from what was there, {near}: on a day that looks like it, the door knows them "
        "now where it would have hesitated or refused."
    )
