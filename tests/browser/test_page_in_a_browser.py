"""A person at the desk, in a real Chromium, with a real broker, lock and door behind the page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.browser.conftest import Building
from tests.page_server import ACCOUNT, PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]

LONG_MS = 30_000
"""Milliseconds: two cores run broker, page, door and browser at once."""

expect.set_options(timeout=LONG_MS)


@pytest.fixture
def desk(chromium: Browser, building: Building) -> Iterator[Page]:
    """A logged-in page. At the end: nothing was asked of anybody outside, and the console has no error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, permissions=["camera"])
    page = context.new_page()
    page.set_default_timeout(LONG_MS)
    asked: list[str] = []
    errors: list[str] = []

    def on_request(request: Request) -> None:
        asked.append(request.url)

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    page.on("request", on_request)
    page.on("console", on_console)
    page.on("pageerror", lambda error: errors.append(str(error)))
    log_in(page, building)
    yield page
    page.close()
    context.close()
    outside = [url for url in asked if not url.startswith((building.page.url, "data:", "blob:"))]
    assert outside == []
    assert errors == []
    assert len(asked) > 10


def log_in(page: Page, building: Building) -> None:
    page.goto(building.page.url)
    page.get_by_label("Account").fill(ACCOUNT)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("tab", name="People")).to_be_visible()


def take_photo(page: Page) -> None:
    page.get_by_text("Click to Access Webcam").click()
    page.locator("#lk-photo video").wait_for()
    page.wait_for_function("document.querySelector('#lk-photo video').videoWidth > 0")
    page.locator("#lk-photo").get_by_role(
        "button", name=re.compile("capture|photo|picture", re.IGNORECASE)
    ).first.click()


def test_enrol_from_the_webcam_and_move_the_threshold(desk: Page, building: Building) -> None:
    desk.get_by_role("tab", name="Door").click()
    expect(desk.locator("#lk-door-state")).to_contain_text("Online")
    expect(desk.locator("#lk-door-state")).to_contain_text("Seeing")
    expect(desk.locator("#lk-door-state")).to_contain_text("Locked")

    desk.get_by_role("tab", name="People").click()
    take_photo(desk)
    expect(desk.locator("#lk-verdict")).to_contain_text("Good to enrol")
    expect(desk.locator("#lk-people")).to_contain_text("Nobody is enrolled yet")  # a verdict saves nothing
    desk.get_by_label("Name").fill("Ana Almeida")
    desk.get_by_role("button", name="Enrol").click()
    expect(desk.locator("#lk-people")).to_contain_text("Ana Almeida")
    expect(desk.locator("#lk-enrol-status")).to_contain_text("front knows Ana Almeida now")

    told = re.search(r"\(list (\d+)\)", desk.locator("#lk-enrol-status").inner_text())
    assert told is not None
    desk.get_by_role("tab", name="Door").click()
    expect(desk.locator("#lk-door-state")).to_contain_text(f"up to date, list {told.group(1)}")
    # Whoever walks up meanwhile is seen at the desk without a click.
    expect(desk.locator("#lk-events time").first).to_be_visible()

    desk.get_by_role("tab", name="Threshold").click()
    meaning = desk.locator("#lk-meaning")
    expect(meaning).to_contain_text("stranger")
    before = meaning.inner_text()
    slider = desk.locator("#lk-tau input[type=range]")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowLeft")
    expect(meaning).not_to_have_text(before)
    chosen = float(slider.input_value())
    desk.get_by_role("button", name="Apply to the door").click()
    expect(desk.locator("#lk-tau-status")).to_contain_text(f"front runs threshold {chosen:.3f} now")

    desk.get_by_role("tab", name="People").click()
    desk.get_by_role("button", name="Remove Ana Almeida").first.click()
    desk.locator("#lk-remove").click()
    expect(desk.locator("#lk-remove-status")).to_contain_text("front has forgotten Ana Almeida")
    expect(desk.locator("#lk-people")).to_contain_text("Nobody is enrolled yet")


def test_desk_unlocks_the_door_and_hears_when_it_is_away(
    desk: Page, building: Building, request: pytest.FixtureRequest
) -> None:
    desk.get_by_role("tab", name="Door").click()
    state = desk.locator("#lk-door-state")
    expect(state).to_contain_text("Locked")
    desk.locator("#lk-why input, #lk-why textarea").first.fill("a courier")
    desk.get_by_role("button", name="Unlock").click()
    expect(desk.locator("#lk-unlock-status .lk-good")).to_be_visible(timeout=LONG_MS)
    expect(state).to_contain_text("Unlocked")
    expect(desk.locator("#lk-events")).to_contain_text(f"By {ACCOUNT}")

    building.stop_door()
    request.addfinalizer(building.start_door)
    expect(state).to_contain_text("Offline")
    desk.get_by_role("button", name="Unlock").click()
    expect(desk.locator("#lk-unlock-status .lk-bad")).to_contain_text("front")
    desk.get_by_role("tab", name="Threshold").click()
    expect(desk.locator("#lk-meaning")).to_contain_text("stranger")
    desk.get_by_role("button", name="Apply to the door").click()
    expect(desk.locator("#lk-tau-status .lk-bad")).to_contain_text("Nothing was changed")


def test_login_in_a_browser(chromium: Browser, building: Building) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(LONG_MS)
    page.goto(building.page.url)
    page.get_by_label("Account").fill(ACCOUNT)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    assert page.get_by_label("Account").input_value() == ACCOUNT
    log_in(page, building)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.goto(building.page.url)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    context.close()
    assert httpx.get(f"{building.page.url}/config").status_code == 401


@pytest.mark.parametrize("width", [1280, 800, 360])
def test_a_door_with_a_leaf_has_five_tiles_that_read(desk: Page, width: int) -> None:
    desk.set_viewport_size({"width": width, "height": 900})
    desk.get_by_role("tab", name="Door").click()
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
