"""Whatever a browser sends, in each field of each endpoint of the page: a sentence comes back and nothing changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from admin_ui.accounts import set_password
from admin_ui.page.app import create_app
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from tests.admin_ui.open_page import Deed, OpenPage, archive, upload
from tests.admin_ui.told import HOSTILE, faults

PASSWORD: Final = "correct horse battery"
WRONG_TYPES: Final = ("number", "not a number", "truth", "list", "object")
EVENTS: Final = {"PeopleWork.open": "person", "EventsWork.why": "event", "_blocks.<locals>.watch": "value"}
"""Endpoints that are told what was clicked in a list -> the name of what is told."""
BOXES: Final = {
    *("lk-consent", "lk-confirm", "lk-leave-out", "lk-back-leave-out", "lk-same-person"),
    *("confirm_duplicate", "consent"),
}
"""To be ticked: whatever is not a tick is none."""
SWITCH: Final = ("lk-keep-photos",)
ATTEMPTS: Final = ("unlock", "look_through")
"""What stands in the record of acts even where the door was away: that somebody tried."""


@pytest.fixture
def store_url() -> str:
    """SQLite: what a browser sends does not depend on the store."""
    return ""


@pytest.fixture
def page(office: Office, ada: str) -> OpenPage:
    """An administrator's browser with Ada's card open."""
    set_password(office.store, "admin", PASSWORD, "test", AccountRole.ADMINISTRATOR)
    opened = OpenPage(create_app(office))
    opened.loaded()
    assert opened.ask(opened.deed("PeopleWork.open"), {}, {"person": ada}).refusals == []
    return opened


@pytest.fixture
def good(office: Office, photo: Callable[..., bytes], make_bundle: Callable[..., bytes]) -> Callable[[str], Any]:
    """good(field): what an administrator would have put there."""
    bundle = make_bundle(office._keyring.site, version="0.2.0", seed=2)
    files = {
        "lk-photo": lambda: upload("grace.png", photo(2)),
        "lk-more-photo": lambda: upload("ada.png", photo(1, 1)),
        "lk-batch": lambda: upload("staff.zip", archive({"Bo Costa.png": photo(3)})),
        "lk-bundle": lambda: upload("other.latchkey", bundle),
        "photo": lambda: upload("grace.png", photo(2)),
    }

    def make(field: str) -> Any:
        return files[field]() if field in files else GOOD[field]

    return make


GOOD: Final[dict[str, Any]] = {
    # People
    "lk-search": "Ada", "lk-people-door": "front", "lk-state": "", "lk-order": "name",
    "lk-edit-name": "Ada King", "lk-edit-doors": ["front"], "lk-edit-first": "2026-01-01", "lk-edit-last": "",
    "lk-same-person": False, "lk-typed": "Ada Lovelace",
    # Enrol
    "lk-place": "front", "lk-name": "Grace Hopper", "lk-doors": ["front"], "lk-first": "", "lk-last": "2031-01-01",
    "lk-consent": True, "lk-confirm": False, "lk-keep-photos": True, "lk-consent-edit": "I agree to it.",
    # Doors
    "lk-door-choice": "front", "lk-why": "a courier", "lk-pair": "cellar", "lk-revoke-typed": "front",
    # Events
    "lk-events-door": "front", "lk-outcome": "", "lk-reason": "", "lk-event-person": "", "lk-from": "", "lk-to": "",
    # Threshold, Models
    "lk-threshold-door": "front", "lk-tau": 0.3, "lk-leave-out": False, "lk-try-place": "front",
    "lk-past-models": "0" * 64, "lk-back-leave-out": False,
    # Accounts
    "lk-old-password": "wrong horse battery", "lk-new-password": "correct horse staple", "lk-code": "000000",
    "lk-end-password": "wrong horse battery", "lk-new-account": "olga", "lk-account-role": "viewer",
    "lk-account-choice": "olga",
    # Endpoints for programs
    "name": "Grace Hopper", "doors": ["front"], "confirm_duplicate": False, "consent": False, "person_id": "nobody",
    "door": "front", "generation": 1, "timeout_s": 0.01, "limit": 5, "tau": 0.3, "why": "a courier",
}  # fmt: skip
"""Field -> what an administrator would have put there; files are made anew each time."""


@pytest.fixture
def kept(office: Office) -> Callable[[], object]:
    """kept(): everything that the store holds, but for who is logged in and what was tried and failed."""

    def read() -> object:
        with sqlite3.connect(office.settings.state / "store.db") as store:
            tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {name: store.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables if name != "sessions"}
        store.close()
        acts = [row for row in rows.pop("acts") if not set(ATTEMPTS) & set(map(str, row))]
        return acts, rows, sorted(path.name for path in (office.settings.state / "pairings").glob("*"))

    return read


def tries(deed: Deed, good: Callable[[str], Any], value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field hostile among good ones, then all of them."""
    for field in deed.fields:
        yield field, {one: value if one == field else good(one) for one in deed.fields}
    if deed.fields:
        yield "", dict.fromkeys(deed.fields, value)


@pytest.mark.slow
@pytest.mark.parametrize("what", HOSTILE)
def test_whatever_a_field_is_given_is_refused_in_a_sentence_or_done_as_told(
    page: OpenPage, good: Callable[[str], Any], kept: Callable[[], object], what: str
) -> None:
    wrong: list[str] = []
    for deed in page.deeds():
        if deed.event:
            values: list[tuple[str, Mapping[str, Any], Any]] = [("event", {}, {EVENTS[deed.name]: HOSTILE[what]})]
        else:
            values = [(field, given, None) for field, given in tries(deed, good, HOSTILE[what])]
        for field, given, event in values:
            before = kept()
            answer = page.ask(deed, given, event)
            place = f"{deed.name}({field or 'all'})"
            wrong += [f"{place}: {fault}" for fault in faults(answer, deed.name.startswith("Endpoints."))]
            changed = kept() != before
            refused = [answer.toast, *(words for kind, words in answer.notes if kind == "bad")]
            if changed and any(refused):
                wrong.append(f"{place}: refused, and changed all the same: {refused}")
            if (
                changed
                and what in WRONG_TYPES
                and field not in BOXES
                and not (what == "truth" and deed.fields == SWITCH)
            ):
                wrong.append(f"{place}: taken for something that it is not")
            if not field and deed.button and not (answer.notes or answer.toast):
                wrong.append(f"{place}: pressed, and nothing was said")
    assert wrong == []
