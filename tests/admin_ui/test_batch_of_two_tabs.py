"""One account with two tabs: a yes is to the table that is looked at, and so is a no."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from admin_ui.service import Office
from admin_ui.waiting import Batch, WaitingRoom
from tests.admin_ui.open_page import OpenPage, archive, upload

Photo = Callable[..., bytes]


@pytest.fixture
def store_url() -> str:
    """SQLite: a batch waits in no store."""
    return ""


@pytest.fixture
def staff(app: FastAPI, photo: Photo) -> dict[str, Any]:
    return upload("staff.zip", archive({"Ana.png": photo(1)}))


@pytest.fixture
def guests(app: FastAPI, photo: Photo) -> dict[str, Any]:
    return upload("guests.zip", archive({"Bo.png": photo(7)}))


@pytest.fixture
def tabs(app: FastAPI, staff: dict[str, Any], guests: dict[str, Any]) -> tuple[OpenPage, OpenPage]:
    """The first shows the table of the staff; then the second has read that of the guests."""
    one, two = OpenPage(app), OpenPage(app)
    one.press("BatchWork.read", lk_batch=staff)
    two.press("BatchWork.read", lk_batch=guests)
    return one, two


def names(office: Office) -> list[str]:
    return [person.name for person in office.people()]


def test_a_yes_is_to_the_table_that_is_shown(office: Office, tabs: tuple[OpenPage, OpenPage]) -> None:
    one, _ = tabs
    refused = one.press("BatchWork.enrol")
    assert "Another ZIP was read under your account" in refused.refusals[0]
    assert names(office) == []
    assert "Bo" in "".join(refused.texts), "the table that waits is shown"
    told = one.press("BatchWork.enrol").refusals
    assert names(office) == ["Bo"], told


def test_the_tab_that_read_last_is_not_held_up(office: Office, tabs: tuple[OpenPage, OpenPage]) -> None:
    _, two = tabs
    two.press("BatchWork.enrol")
    assert names(office) == ["Bo"]


def test_a_no_to_one_table_forgets_no_other(office: Office, tabs: tuple[OpenPage, OpenPage]) -> None:
    one, two = tabs
    assert one.press("BatchWork.drop").refusals == []
    two.press("BatchWork.enrol")
    assert names(office) == ["Bo"]


def test_a_tab_that_shows_no_table_says_yes_to_none(
    office: Office, app: FastAPI, tabs: tuple[OpenPage, OpenPage]
) -> None:
    assert OpenPage(app).press("BatchWork.enrol").refusals != []
    assert names(office) == []


def test_what_was_read_while_another_one_was_saved_still_waits() -> None:
    room = WaitingRoom()
    staff, guests = Batch((), "encoder", time.monotonic()), Batch((), "encoder", time.monotonic())
    room.put("admin", staff)
    room.put("admin", guests)
    room.renew("admin", staff)
    assert room.get("admin") is guests
    room.drop("admin", staff.id)
    assert room.get("admin") is guests
    room.drop("admin")
    room.renew("admin", guests)
    assert room.get("admin") is None
