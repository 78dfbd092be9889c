"""Named endpoints of the page for programs: the demo check, scripts. Same office, plain JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import gradio as gr

from admin_ui import given
from admin_ui.page.photo import forget_photo, photo_bytes
from admin_ui.roles import AccountRole, seat
from admin_ui.service import Office
from admin_ui.views import Change, DoorView, EventView, LooksLike, PersonView
from firmware_config.errors import LatchkeyError

MAX_EVENTS: Final = 1000
MAX_WAIT_S: Final = 60.0

Json = dict[str, Any]


def account_of(request: gr.Request | None) -> str:
    """The account that acts. The guard let nobody in without one."""
    name = getattr(request, "username", None)
    return str(name) if name else "unknown"


def at_desk(office: Office, request: gr.Request | None) -> tuple[Office, list[str], AccountRole]:
    """The office as whoever asks may use it, the names of its doors, and their role. Raises LatchkeyError."""
    account = account_of(request)
    seated = seat(office, account)
    return seated, [door.name for door in seated.doors()], seated.own_account(account).role


def answered(work: Callable[[], Json]) -> Json:
    """`ok` true and the result; or `ok` false, `error` the kind of fault and `sentence` what to do."""
    try:
        return {"ok": True, **work()}
    except LooksLike as error:
        return {"ok": False, "error": "LooksLike", "sentence": str(error), "looks_like": error.name}
    except LatchkeyError as error:
        return {"ok": False, "error": type(error).__name__, "sentence": str(error)}


def person_json(person: PersonView) -> Json:
    return {
        "id": person.id,
        "name": person.name,
        "doors": list(person.doors),
        "created": person.created.isoformat(),
    }


def change_json(change: Change) -> Json:
    values: Json = {"sentence": change.sentence, "news": [asdict(news) for news in change.news]}
    if change.person is not None:
        values["person"] = person_json(change.person)
    return values


def door_json(door: DoorView) -> Json:
    values = {name: value for name, value in vars(door).items() if name != "health"}
    health = door.health.model_dump(mode="json") if door.health is not None else None
    return {**values, "problems": list(door.problems), "in_step": door.in_step, "health": health}


def event_json(event: EventView) -> Json:
    return {**asdict(event), "at": event.at.isoformat()}


class Endpoints:
    """Signatures and answers: docstring of app.py."""

    def __init__(self, office: Office, uploads: Path) -> None:
        self._office = office
        self._uploads = uploads

    def _as(self, request: gr.Request | None) -> Office:
        return seat(self._office, account_of(request))

    def examine(self, photo: dict[str, Any], request: gr.Request = None) -> dict[str, Any]:
        def work() -> Json:
            verdict = self._as(request).examine(photo_bytes(photo, self._uploads))
            return {"good": verdict.ok, "sentences": list(verdict.sentences), "values": verdict.values}

        return answered(work)

    def enrol(
        self,
        name: str,
        photo: dict[str, Any],
        doors: list[str],
        confirm_duplicate: bool = False,
        consent: bool = False,
        request: gr.Request = None,
    ) -> dict[str, Any]:
        def work() -> Json:
            image = photo_bytes(photo, self._uploads)
            account = account_of(request)
            person, at = given.text(name, "name"), given.texts(doors, "doors")
            change = self._as(request).enrol(
                person, image, at, account, confirm_duplicate=confirm_duplicate is True, consent=consent is True
            )
            forget_photo(photo, self._uploads)
            return change_json(change)

        return answered(work)

    def people(self, request: gr.Request = None) -> dict[str, Any]:
        return answered(lambda: {"people": [person_json(person) for person in self._as(request).people()]})

    def remove(self, person_id: str, request: gr.Request = None) -> dict[str, Any]:
        return answered(
            lambda: change_json(self._as(request).remove(given.text(person_id, "person_id"), account_of(request)))
        )

    def doors(self, request: gr.Request = None) -> dict[str, Any]:
        return answered(lambda: {"doors": [door_json(door) for door in self._as(request).doors()]})

    def door_state(self, door: str, request: gr.Request = None) -> dict[str, Any]:
        return answered(lambda: {"door": door_json(self._as(request).door(given.text(door, "door")))})

    def wait_applied(
        self, door: str, generation: int, timeout_s: float = 10.0, request: gr.Request = None
    ) -> dict[str, Any]:
        def work() -> Json:
            seconds = max(0.0, min(given.number(timeout_s, "timeout_s"), MAX_WAIT_S))
            name, wanted = given.text(door, "door"), given.count(generation, "generation")
            return {"door": door_json(self._as(request).wait_applied(name, wanted, seconds))}

        return answered(work)

    def events(self, door: str = "", limit: int = 50, request: gr.Request = None) -> dict[str, Any]:
        def work() -> Json:
            count = max(1, min(given.count(limit, "limit"), MAX_EVENTS))
            return {
                "events": [event_json(event) for event in self._as(request).events(given.text(door, "door"), count)]
            }

        return answered(work)

    def set_tau(self, door: str, tau: float, request: gr.Request = None) -> dict[str, Any]:
        def work() -> Json:
            name, wanted = given.text(door, "door"), given.number(tau, "tau")
            return change_json(self._as(request).set_tau(name, wanted, account_of(request)))

        return answered(work)

    def unlock(self, door: str, why: str = "", request: gr.Request = None) -> dict[str, Any]:
        def work() -> Json:
            answer = self._as(request).unlock(given.text(door, "door"), account_of(request), given.text(why, "why"))
            return {"unlocked": answer.ok, "reason": answer.reason, "sentence": answer.sentence}

        return answered(work)


def add_endpoints(office: Office, uploads: Path) -> None:
    """Must be called inside the Blocks context."""
    own = Endpoints(office, uploads)
    gr.api(own.examine, api_name="examine")
    gr.api(own.enrol, api_name="enrol")
    gr.api(own.people, api_name="people")
    gr.api(own.remove, api_name="remove")
    gr.api(own.doors, api_name="doors")
    gr.api(own.door_state, api_name="door_state")
    gr.api(own.wait_applied, api_name="wait_applied")
    gr.api(own.events, api_name="events")
    gr.api(own.set_tau, api_name="set_tau")
    gr.api(own.unlock, api_name="unlock")
