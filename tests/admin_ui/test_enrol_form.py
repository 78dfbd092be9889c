"""The form of the Enrol tab: somebody is let in where it was said, and has agreed to what was shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from admin_ui.service import Office
from admin_ui.views import TextChanged
from tests.admin_ui.open_page import Answer, OpenPage, upload

Photo = Callable[..., bytes]


@pytest.fixture
def store_url() -> str:
    """SQLite: what a form asks does not depend on the store."""
    return ""


@pytest.fixture
def page(app: FastAPI) -> OpenPage:
    made = OpenPage(app)
    made.loaded()
    return made


@pytest.fixture
def enrol(photo: Photo) -> Callable[..., Answer]:
    """enrol(page, **values): with a photo, a name and a tick; nothing else is filled in."""

    def press(page: OpenPage, **values: Any) -> Answer:
        form = {"lk_name": "Ana", "lk_photo": upload("ana.png", photo(1)), "lk_consent": True, "lk_doors": []}
        return page.press("EnrolWork.enrol", **form | values)

    return press


def where(office: Office) -> dict[str, tuple[str, ...]]:
    return {person.name: person.doors for person in office.people()}


def test_no_door_is_not_every_door(office: Office, page: OpenPage, enrol: Callable[..., Answer]) -> None:
    office.add_door("vault", "boss")
    assert enrol(page).refusals == ["Choose at least one door. Nothing was saved."]
    assert where(office) == {}
    enrol(page, lk_doors=["front"])
    assert where(office) == {"Ana": ("front",)}


def test_one_door_needs_no_choice(office: Office, page: OpenPage, enrol: Callable[..., Answer]) -> None:
    enrol(page)
    assert where(office) == {"Ana": ("front",)}


def test_who_has_read_the_text_of_before_reads_the_new_one(
    office: Office, page: OpenPage, enrol: Callable[..., Answer]
) -> None:
    office.set_consent_text("You are recognised, and it is told to the insurance.", "boss")
    answer = enrol(page, lk_doors=["front"])
    assert "has changed since it was shown" in answer.refusals[0]
    assert where(office) == {}
    assert "told to the insurance" in "".join(answer.texts), "the new one is shown"
    (tick,) = [one for one in answer.values if isinstance(one, dict) and "(version 2)" in str(one.get("label"))]
    assert tick["value"] is False
    enrol(page, lk_doors=["front"])
    assert [person.consent_version for person in office.people()] == [2]


def test_a_tick_that_outlives_a_restart_of_the_page_is_asked_for_anew(
    office: Office, app: FastAPI, enrol: Callable[..., Answer]
) -> None:
    page = OpenPage(app)  # what Gradio knew of the browser is gone
    assert "The page was restarted meanwhile" in enrol(page).refusals[0]
    assert where(office) == {}
    enrol(page)
    assert where(office) == {"Ana": ("front",)}


def test_consent_is_recorded_for_the_text_that_was_read(office: Office, photo: Photo) -> None:
    office.set_consent_text("You are recognised.", "boss")
    with pytest.raises(TextChanged):
        office.enrol("Ana", photo(1), [], "boss", consent=True, text_read=1)
    view = office.enrol("Ana", photo(1), [], "boss", consent=True, text_read=2).person
    assert view is not None
    assert view.consent_version == 2
