"""What the office does with the papers of people: edit, suspend, export, consent, and whether photos are kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from admin_ui import options, people, portraits
from admin_ui.acts import record_act
from admin_ui.models import EventRow, PersonRow, PortraitRow, TemplateRow
from admin_ui.personnel import check_dates
from admin_ui.premises import Premises
from admin_ui.rollout import crop_topic, vector_topic
from admin_ui.store import find_door, find_person, name_key
from admin_ui.views import Change, Edited
from firmware_config.errors import BadInput


class Registry(Premises):
    """Papers of people. service.Office says what all methods have in common."""

    def edit_person(
        self,
        person_id: str,
        revision: int,
        by: str,
        *,
        name: str,
        doors: Sequence[str],
        valid_from: datetime | None,
        valid_until: datetime | None,
    ) -> Change:
        """Everything that can be edited, at once. revision: PersonView.revision as it was read. doors: exactly these.

        Raises BadInput; views.Edited where somebody else was faster."""
        name = people.clean_name(name)
        check_dates(valid_from, valid_until)
        with self._changing:
            with self.store.write() as session:
                person = find_person(session, person_id)
                _check_read(person, revision)
                if name_key(name) != person.name_key:
                    people.check_name_free(session, name)
                before = {member.door_name for member in person.memberships}
                wanted = {row.name for row in people.doors_named(session, doors)} if doors else set()
                person.name, person.name_key = name, name_key(name)
                person.valid_from, person.valid_until = valid_from, valid_until
                person.revision += 1
                people.set_memberships(session, person, wanted)
                view = people.view(person)
                touched = sorted(before | wanted)
                self._desk.roll(session, [find_door(session, door) for door in touched])
                dates = f"{valid_from or '-'} to {valid_until or '-'}"
                record_act(session, by, "edit", f"{person.id}: {', '.join(view.doors) or 'no door'}, valid {dates}")
            news = self._desk.send(touched)
        return Change(f"{view.name} is changed.", news, view)

    def suspend(self, person_id: str, suspended: bool, by: str, *, revision: int | None = None) -> Change:
        """Take somebody out of every door's list, with all that is known of them kept, or end that. revision:
        PersonView.revision as it was read; None: whatever it is.

        Raises BadInput; views.Edited where somebody else was faster."""
        with self._changing:
            with self.store.write() as session:
                person = find_person(session, person_id)
                if revision is not None:
                    _check_read(person, revision)
                person.suspended = suspended
                person.revision += 1
                session.flush()
                view = people.view(person)
                self._desk.roll(session, [find_door(session, door) for door in view.doors])
                record_act(session, by, "suspend" if suspended else "end_suspension", person.id)
            news = self._desk.send(view.doors)
        said = "is suspended: no door opens for them." if suspended else "is let in again."
        return Change(f"{view.name} {said}", news, view)

    def export_person(self, person_id: str, by: str) -> bytes:
        """All that is kept about one person, as JSON (Article 15 of the GDPR). Raises BadInput."""
        with self.store.write() as session:
            person = find_person(session, person_id)
            document = self._papers(person)
            query = select(EventRow).where(EventRow.person_id == person_id).order_by(EventRow.at)
            document["events"] = [
                {
                    "at": row.at.isoformat(),
                    "door": row.door,
                    "outcome": row.outcome,
                    "reason": row.reason,
                    "distance": row.distance,
                    **row.detail,
                }
                for row in session.scalars(query)
            ]
            document["consent"]["text"] = options.consent_at(session, person.consent_version)
            record_act(session, by, "export_person", person_id)
        return json.dumps(document, ensure_ascii=False, indent=2).encode()

    def _papers(self, person: PersonRow) -> dict[str, Any]:
        def moment(at: datetime | None) -> str | None:
            return at.isoformat() if at is not None else None

        return {
            "id": person.id,
            "name": person.name,
            "created": moment(person.created),
            "valid_from": moment(person.valid_from),
            "valid_until": moment(person.valid_until),
            "suspended": bool(person.suspended),
            "doors": sorted(member.door_name for member in person.memberships),
            "consent": {"at": moment(person.consent_at), "version": person.consent_version},
            "photos": [self._photo(person.id, portrait) for portrait in person.portraits],
        }

    def _photo(self, person_id: str, portrait: PortraitRow) -> dict[str, Any]:
        key = self._keyring.store

        def vector(template: TemplateRow) -> str:
            return base64.b64encode(key.open(vector_topic(person_id), template.vector)).decode()

        crop = key.open(crop_topic(person_id), portrait.crop) if portrait.crop is not None else None
        return {
            "taken_in": portrait.created.isoformat(),
            "quality": portrait.quality,
            "png": base64.b64encode(crop).decode() if crop is not None else None,
            "templates": {template.encoder_id: vector(template) for template in portrait.templates},
        }

    def photo_rule(self) -> bool:
        """True where the crop of each enrolment photo is kept, sealed."""
        with self.store.read() as session:
            return options.photos_kept(session)

    def keep_photos(self, on: bool, by: str) -> str:
        """Keep the crops of those who are enrolled from now on; or none any more: those that are kept are erased.
        -> a sentence."""
        with self._changing, self.store.write() as session:
            options.keep_photos(session, on)
            gone = 0 if on else portraits.forget_crops(session)
            record_act(session, by, "keep_photos", "on" if on else f"off, {gone} erased")
        if on:
            return "From now on the face of each enrolment photo is kept, sealed, in this page's store."
        self.store.scrub()
        return f"Photos are not kept any more; {gone} that were kept are erased. The doors know everybody as before."

    def consent_text(self) -> tuple[int, str]:
        """-> version and text that people agree to now."""
        with self.store.read() as session:
            return options.consent(session)

    def set_consent_text(self, text: str, by: str) -> str:
        """-> a sentence. Who agreed to an older text keeps that. Raises BadInput."""
        with self.store.write() as session:
            before = options.consent(session)[0]
            version = options.set_consent(session, text)
            if version == before:
                raise BadInput(f"This is the text of version {version} already. Nothing was changed.")
            record_act(session, by, "consent_text", f"version {version}")
        return f"Version {version} of the text is in force; who agreed to an older one keeps that."


def _check_read(person: PersonRow, revision: int) -> None:
    """Raises Edited where somebody else has changed this person since they were read."""
    if person.revision != revision:
        raise Edited(
            f"Somebody else has changed {person.name} since you opened this. Nothing was changed; what is there now "
            "is shown, edit it anew."
        )
