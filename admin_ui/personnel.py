"""What the office does about people: look at photos, enrol, assign doors, remove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from admin_ui import enrol as photos
from admin_ui import people, shelf
from admin_ui.acts import record_act
from admin_ui.erasure import erase
from admin_ui.premises import Premises
from admin_ui.store import find_door, find_person
from admin_ui.views import Change, PersonView, Verdict
from firmware_config.errors import BadInput


class Personnel(Premises):
    """People. service.Office says what all methods have in common."""

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
                record_act(session, by, "enrol", f"{view.id} at {', '.join(view.doors) or 'no door'}")
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
                record_act(session, by, "set_doors", f"{person.id}: {', '.join(view.doors) or 'no door'}")
            news = self._desk.send(touched)
        return Change(f"{view.name} may use {', '.join(view.doors) or 'no door'}.", news, view)

    def remove(self, person_id: str, by: str) -> Change:
        """Erase a person for good: photo, templates and name, here, at every door, and in what a backup brings back.

        Change.sentence quotes the receipt, which stays in the record of acts and names nobody."""
        with self._changing:
            with self.store.write() as session:
                person = find_person(session, person_id)
                view = people.view(person)
                receipt = erase(session, person)
                self._desk.roll(session, [find_door(session, name) for name in receipt.doors])
                record_act(session, by, "erase", receipt.sentence)
            self.store.scrub()
            news = self._desk.send(receipt.doors)
        return Change(f"{view.name} is removed. {receipt.sentence}", news, view)
