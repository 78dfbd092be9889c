"""People suspended, and edited by two at once, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import handle_file
from playwright.sync_api import Page, expect

from firmware_config.face import ImageArray
from tests.browser.conftest import Building, OpenPage
from tests.browser.hands import MARKS, choose, framed, log_in, program, show_tab, type_into

pytestmark = MARKS


NAME = "Bruno <i>Costa</i>"


@pytest.fixture
def bruno(desk: Page, building: Building, faces: dict[int, list[ImageArray]], tmp_path: Path) -> Iterator[str]:
    """Somebody enrolled for this test -> his name."""
    client = program(desk, building)
    photo = handle_file(str(framed(faces[34][0], tmp_path / "bruno.png")))
    made = client.predict(NAME, photo, ["front"], True, True, api_name="/enrol")
    assert made["ok"], made
    yield NAME
    client.predict(made["person"]["id"], api_name="/remove")
    client.close()


def open_card(page: Page, name: str) -> None:
    # The list is read anew when its tab is chosen, and it is what the page shows first.
    show_tab(page, "Models")
    show_tab(page, "People")
    page.get_by_role("button", name=f"Open {name}").click()
    expect(page.locator("#lk-person")).to_contain_text(name)


def test_somebody_suspended_is_in_no_list_until_they_are_let_in_again(desk: Page, bruno: str) -> None:
    open_card(desk, bruno)
    desk.get_by_role("button", name="Suspend").click()
    expect(desk.locator("#lk-person-status")).to_contain_text("front has the change")
    expect(desk.locator("#lk-person .lk-badge", has_text="suspended")).to_be_visible()
    choose(desk, "lk-state", "Suspended")
    expect(desk.locator("#lk-people li")).to_have_count(1)
    desk.get_by_role("button", name="Let in again").click()
    expect(desk.locator("#lk-person .lk-badge", has_text="suspended")).to_have_count(0)
    expect(desk.locator("#lk-person-status")).to_contain_text("front has the change")
    expect(desk.locator("#lk-people")).to_contain_text("Nobody to show")


def test_two_who_edit_one_person_do_not_undo_each_other(
    open_page: OpenPage, desk: Page, building: Building, bruno: str
) -> None:
    other = open_page()
    log_in(other, building)
    open_card(desk, bruno)
    open_card(other, bruno)
    type_into(desk, "lk-edit-name", "Bruno Costa Lima")
    desk.get_by_role("button", name="Save").click()
    expect(desk.locator("#lk-person-status")).to_contain_text("front has the change")

    type_into(other, "lk-edit-name", "B. Costa")
    other.get_by_role("button", name="Save").click()
    warning = other.locator("#lk-person-status .lk-warn")
    expect(warning).to_contain_text("Somebody else has changed Bruno Costa Lima since you opened this")
    name = other.locator("#lk-edit-name input, #lk-edit-name textarea").first
    expect(name).to_have_value("Bruno Costa Lima")
    name.fill("Bruno C. Lima")
    other.get_by_role("button", name="Save").click()
    expect(other.locator("#lk-person-status")).to_contain_text("front has the change")
    expect(other.locator("#lk-person h2")).to_have_text("Bruno C. Lima")
