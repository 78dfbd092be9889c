"""Unlocking, locking down, looking through and pairing a door from the desk, in a real Chromium."""

from __future__ import annotations

import zipfile

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Building
from tests.browser.hands import LONG_MS, MARKS, WHY, choose, show_tab, type_into
from tests.page_server import ACCOUNT

pytestmark = MARKS


def test_desk_unlocks_the_door_and_hears_when_it_is_away(
    desk: Page, building: Building, request: pytest.FixtureRequest
) -> None:
    desk.get_by_role("tab", name="Doors").click()
    state = desk.locator("#lk-door-state")
    expect(state).to_contain_text("Locked")
    desk.locator("#lk-why input, #lk-why textarea").first.fill("a courier")
    desk.locator("#lk-unlock").click()
    expect(desk.locator("#lk-unlock-status .lk-good")).to_be_visible(timeout=LONG_MS)
    expect(state).to_contain_text("Unlocked")
    expect(desk.locator("#lk-events")).to_contain_text(f"By {ACCOUNT}")

    building.stop_door()
    request.addfinalizer(building.start_door)
    expect(state).to_contain_text("Offline")
    desk.locator("#lk-unlock").click()
    expect(desk.locator("#lk-unlock-status .lk-bad")).to_contain_text("front")
    desk.get_by_role("tab", name="Threshold").click()
    expect(desk.locator("#lk-meaning")).to_contain_text("stranger")
    desk.get_by_role("button", name="Apply to the door").click()
    expect(desk.locator("#lk-tau-status .lk-bad")).to_contain_text("Nothing was changed")


@pytest.mark.parametrize("width", [1280, 800, 360])
def test_a_door_with_a_leaf_has_five_tiles_that_read(desk: Page, width: int) -> None:
    desk.set_viewport_size({"width": width, "height": 900})
    desk.get_by_role("tab", name="Doors").click()
    tiles = desk.locator("#lk-door-state .lk-tile")
    expect(tiles).to_have_count(5)
    expect(desk.locator("#lk-door-state")).to_contain_text("Leaf")
    for word in tiles.locator("strong").all():
        lines = word.evaluate(
            "e => { const r = document.createRange(); r.selectNodeContents(e); "
            "return new Set([...r.getClientRects()].map(b => b.top)).size; }"
        )
        assert lines == 1, f"{word.inner_text()!r} breaks at {width} pixels"
    assert desk.evaluate("document.documentElement.scrollWidth") <= width


def test_a_door_locked_down_lets_nobody_in_until_it_is_released(desk: Page) -> None:
    show_tab(desk, "Doors")
    state, answer = desk.locator("#lk-door-state"), desk.locator("#lk-unlock-status")
    expect(state).to_contain_text("Online")
    type_into(desk, "lk-why", WHY)
    desk.get_by_role("button", name="Lock down").click()
    expect(answer).to_contain_text("front is locked down: it lets nobody in.")
    expect(answer).to_contain_text("front has it now")
    expect(state.locator(".lk-pill")).to_have_text(["Online", "Locked down"])
    desk.locator("#lk-unlock").click()
    expect(answer.locator(".lk-bad")).to_contain_text("locked down")
    desk.get_by_role("button", name="Release").click()
    expect(answer).to_contain_text("front is released")
    expect(answer).to_contain_text("front has it now")
    expect(state.locator(".lk-pill")).to_have_text(["Online"])


def test_who_looks_through_the_camera_sees_it_and_is_seen(desk: Page) -> None:
    show_tab(desk, "Doors")
    desk.get_by_role("button", name="Who is there?").click()
    picture = desk.get_by_alt_text("What the camera sees now")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0
    expect(desk.locator("#lk-events")).to_contain_text("Somebody looked through the camera from the page.")
    desk.reload()
    show_tab(desk, "Accounts")
    expect(desk.locator("#lk-acts")).to_contain_text("looked through the camera of front")


def test_the_pairing_folder_of_a_new_door_is_given_once(desk: Page, building: Building) -> None:
    show_tab(desk, "Doors")
    told = desk.locator("#lk-pair-status")
    type_into(desk, "lk-pair", "Not A Name")
    desk.get_by_role("button", name="Make it").click()
    expect(told.locator(".lk-bad")).to_contain_text("use a-z")
    type_into(desk, "lk-pair", "cellar")
    desk.get_by_role("button", name="Make it").click()
    expect(told).to_contain_text("cellar is made")
    expect(desk.locator("#lk-fetch")).to_contain_text("cellar waits for its pairing folder")
    with desk.expect_download() as download:
        desk.locator("#lk-fetch form", has_text="cellar").get_by_role("button").click()
    names = zipfile.ZipFile(download.value.path()).namelist()
    assert {name.partition("/")[0] for name in names} == {"door", "lock"}
    expect(desk.locator("#lk-fetch form", has_text="cellar")).to_be_hidden()
    again = desk.request.post(f"{building.page.url}/pairing/cellar.zip")
    assert again.status == 400
    assert "fetched already" in again.json()["detail"]
    show_tab(desk, "Enrol")
    boxes = desk.locator("#lk-doors")
    expect(boxes.get_by_label("cellar")).to_be_checked()
    boxes.get_by_label("front").uncheck()
    show_tab(desk, "Threshold")
    expect(desk.locator("#lk-threshold-door")).to_be_visible()
    show_tab(desk, "Enrol")
    expect(boxes.get_by_label("front")).not_to_be_checked()
    show_tab(desk, "Doors")
    choose(desk, "lk-door-choice", "cellar")
    desk.get_by_text("Revoke a door").click()
    type_into(desk, "lk-revoke-typed", "front")
    desk.get_by_role("button", name="Revoke it").click()
    expect(told.locator(".lk-bad")).to_contain_text("Type the door's name")
    type_into(desk, "lk-revoke-typed", "cellar")
    desk.get_by_role("button", name="Revoke it").click()
    expect(told).to_contain_text("cellar is revoked")
    expect(desk.locator("#lk-door-state h2")).to_have_text(["front"])
    show_tab(desk, "Enrol")
    expect(boxes).to_be_hidden()
    show_tab(desk, "Threshold")
    expect(desk.locator("#lk-threshold-door")).to_be_hidden()
