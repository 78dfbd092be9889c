"""The card of one person: its buttons do what they say, to whom they stand under, however many cards are open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from fastapi import FastAPI

from admin_ui.service import Office
from admin_ui.views import Edited
from firmware_config.errors import BadInput
from tests.admin_ui.open_page import Answer, OpenPage, upload

Photo = Callable[..., bytes]
CHANGED = "Somebody else has changed Ada Lovelace since you opened this."


@pytest.fixture
def store_url() -> str:
    """SQLite: which card is open does not depend on the store."""
    return ""


@pytest.fixture
def bo(office: Office, photo: Photo) -> str:
    """Bo is enrolled -> his id."""
    person = office.enrol("Bo Costa", photo(7), [], "boss", confirm_duplicate=True).person
    assert person is not None
    return person.id


def opened(app: FastAPI, person: str) -> OpenPage:
    """A browser with this card open."""
    page = OpenPage(app)
    show(page, person)
    return page


def show(page: OpenPage, person: str) -> Answer:
    answer = page.ask(page.deed("PeopleWork.open"), {}, {"person": person})
    assert answer.refusals == []
    return answer


def updates(answer: Answer) -> list[dict[str, Any]]:
    return [value for value in answer.values if isinstance(value, dict)]


def values(answers: Iterable[dict[str, Any]]) -> list[Any]:
    return [one["value"] for one in answers if "value" in one]


def suspended(office: Office) -> dict[str, bool]:
    return {person.name: person.suspended for person in office.people()}


def test_a_page_that_says_suspend_never_lets_in_again(office: Office, app: FastAPI, ada: str) -> None:
    one, two = opened(app, ada), opened(app, ada)
    assert not any(CHANGED in told for told in one.press("PeopleWork.suspend").refusals)
    stale = two.press("PeopleWork.suspend")
    assert CHANGED in stale.refusals[0]
    assert suspended(office) == {"Ada Lovelace": True}
    assert "Let in again" in values(updates(stale)), "the card is shown anew"
    two.press("PeopleWork.suspend")
    assert suspended(office) == {"Ada Lovelace": False}


def test_a_suspension_is_refused_to_who_has_read_something_older(office: Office, ada: str) -> None:
    read = office.person(ada)
    office.suspend(ada, True, "boss", revision=read.revision)
    with pytest.raises(Edited, match=CHANGED):
        office.suspend(ada, False, "olga", revision=read.revision)
    assert office.person(ada).suspended


def test_whoever_was_opened_meanwhile_keeps_their_card(office: Office, app: FastAPI, ada: str, bo: str) -> None:
    page = opened(app, ada)
    answer = page.press(
        "PeopleWork.save", lk_edit_name="Ada King", lk_edit_doors=["front"], meanwhile=lambda: show(page, bo)
    )
    assert [person.name for person in office.people()] == ["Ada King", "Bo Costa"]
    assert ("good", "Ada King is changed.") in answer.notes
    assert "Ada King" not in answer.values, "her card is not laid over his"
    page.press("PeopleWork.suspend")
    assert suspended(office) == {"Ada King": False, "Bo Costa": True}


def test_a_card_stays_though_somebody_else_s_is_erased_behind_it(
    office: Office, app: FastAPI, ada: str, bo: str
) -> None:
    page = opened(app, ada)
    answer = page.press("PeopleWork.erase", lk_typed="Ada Lovelace", meanwhile=lambda: show(page, bo))
    assert [person.name for person in office.people()] == ["Bo Costa"]
    assert not any(update.get("visible") is False for update in updates(answer))
    page.press("PeopleWork.suspend")
    assert suspended(office) == {"Bo Costa": True}


def other_than(office: Office, person: str, photo: Photo) -> bytes:
    """A photo that the office asks about before it takes it for theirs."""
    for number in range(2, 41):
        try:
            office.add_photo(person, photo(number), "boss")
        except BadInput as error:
            if "does not look like" in str(error):
                return photo(number)
    raise AssertionError("everybody looks alike")


def test_a_yes_for_one_photo_is_none_for_the_next(
    office: Office, app: FastAPI, photo: Photo, ada: str, bo: str
) -> None:
    page = opened(app, ada)
    unlike = other_than(office, ada, photo)
    before = office.person(ada).photos

    def boxes(answer: Answer) -> list[dict[str, Any]]:
        return [one for one in updates(answer) if "visible" in one and "value" in one]

    asked = page.press("PeopleWork.add_photo", lk_more_photo=upload("ada.png", unlike), lk_same_person=False)
    assert [(one["visible"], one["value"]) for one in boxes(asked)] == [(True, False)]
    lost = {**upload("ada.png", unlike), "path": "/gone/ada.png"}
    refused = page.press("PeopleWork.add_photo", lk_more_photo=lost, lk_same_person=True)
    assert [(one["visible"], one["value"]) for one in boxes(refused)] == [(False, False)]
    for emptied in (page.press("PeopleWork.add_photo", lk_more_photo=None, lk_same_person=True), show(page, bo)):
        assert (False, False) in [(one["visible"], one["value"]) for one in boxes(emptied)]
    assert show(page, bo).values[-2] is None, "the place for a photo is empty"
    assert office.person(ada).photos == before
