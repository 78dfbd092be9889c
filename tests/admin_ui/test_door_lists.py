"""Lists of doors follow what was paired and revoked, and keep what was chosen."""

from __future__ import annotations

from typing import Any

import pytest

from admin_ui.accounts import set_password
from admin_ui.page.app import create_app
from admin_ui.page.door_lists import FILTERS, ONE, SEVERAL, renewed
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from tests.admin_ui.open_page import OpenPage


@pytest.fixture
def store_url() -> str:
    """SQLite: what a list offers does not depend on the store."""
    return ""


def values(names: list[str], before: list[str], chosen: dict[str, Any]) -> dict[str, Any]:
    return {one: update["value"] for one, update in renewed(names, before, chosen).items()}


def test_what_was_chosen_stays_and_a_new_door_is_ticked() -> None:
    chosen = {FILTERS[0]: "front", ONE[0]: "front", SEVERAL: ["front"]}
    assert values(["cellar", "front", "roof"], ["cellar", "front"], chosen) == {
        FILTERS[0]: "front",
        ONE[0]: "front",
        SEVERAL: ["front", "roof"],
    }


def test_a_door_that_is_gone_is_chosen_nowhere() -> None:
    chosen = {FILTERS[0]: "cellar", FILTERS[1]: "", ONE[0]: "cellar", SEVERAL: ["cellar", "front"]}
    assert values(["front"], ["cellar", "front"], chosen) == {
        FILTERS[0]: "",
        FILTERS[1]: "",
        ONE[0]: "front",
        SEVERAL: ["front"],
    }
    assert values([], ["front"], {ONE[0]: "front", SEVERAL: ["front"]}) == {ONE[0]: None, SEVERAL: []}


def test_what_a_browser_makes_up_is_not_chosen() -> None:
    assert values(["front"], ["front"], {ONE[0]: {"a": 1}, SEVERAL: "front"}) == {ONE[0]: "front", SEVERAL: []}


def test_filters_begin_with_every_door_and_one_door_is_no_choice() -> None:
    updates = renewed(["front"], [], {FILTERS[0]: "", SEVERAL: []})
    assert updates[FILTERS[0]]["choices"] == [("Every door", ""), ("front", "front")]
    assert updates[SEVERAL]["visible"] is False


def test_a_door_paired_elsewhere_can_be_chosen_on_every_tab(office: Office) -> None:
    set_password(office.store, "admin", "correct horse battery", "test", AccountRole.ADMINISTRATOR)
    page = OpenPage(create_app(office))
    page.loaded()
    office.add_door("vault", "boss")
    deed = page.deed("add_door_lists.<locals>.renew")
    chosen = dict.fromkeys(deed.fields, "front") | {SEVERAL: ["front"]}
    updates = dict(zip(deed.fields, page.ask(deed, chosen).values[1:], strict=True))
    for one in ("lk-door-choice", "lk-threshold-door", "lk-place", "lk-try-place", "lk-people-door", "lk-events-door"):
        assert ["vault", "vault"] in [list(choice) for choice in updates[one]["choices"]], one
        assert updates[one]["value"] == "front"
    assert updates["lk-door-choice"]["visible"]
