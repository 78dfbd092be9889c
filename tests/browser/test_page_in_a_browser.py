"""A person at the desk, in a real Chromium, with a real broker, lock and door behind the page."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from gradio_client import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from firmware_config.face import ImageArray
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


def log_in(page: Page, building: Building, account: str = ACCOUNT, password: str = PASSWORD) -> None:
    page.goto(building.page.url)
    page.get_by_label("Account").fill(account)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("tab", name="People")).to_be_visible()


def take_photo(page: Page) -> None:
    page.get_by_text("Click to Access Webcam").click()
    page.locator("#lk-photo video").wait_for()
    page.wait_for_function("document.querySelector('#lk-photo video').videoWidth > 0")
    page.locator("#lk-photo").get_by_role(
        "button", name=re.compile("capture|photo|picture", re.IGNORECASE)
    ).first.click()


def enrol_ana(desk: Page) -> None:
    desk.get_by_role("tab", name="Enrol").click()
    take_photo(desk)
    expect(desk.locator("#lk-verdict")).to_contain_text("Good to enrol")
    expect(desk.locator("#lk-verdict .lk-overlay rect")).to_have_count(1)
    expect(desk.locator("#lk-verdict .lk-overlay circle")).to_have_count(5)
    desk.get_by_label("Name", exact=True).fill("Ana Almeida")
    desk.get_by_role("button", name="Enrol", exact=True).click()
    expect(desk.locator("#lk-enrol-status .lk-bad")).to_contain_text("tick the box")  # a verdict saves nothing
    desk.get_by_label("They have read this text").check()
    desk.get_by_role("button", name="Enrol", exact=True).click()
    expect(desk.locator("#lk-enrol-status")).to_contain_text("front knows Ana Almeida now")


def test_enrol_from_the_webcam_and_move_the_threshold(desk: Page, building: Building) -> None:
    desk.get_by_role("tab", name="Doors").click()
    expect(desk.locator("#lk-door-state")).to_contain_text("Online")
    expect(desk.locator("#lk-door-state")).to_contain_text("Seeing")
    expect(desk.locator("#lk-door-state")).to_contain_text("Locked")

    enrol_ana(desk)
    told = re.search(r"\(list (\d+)\)", desk.locator("#lk-enrol-status").inner_text())
    assert told is not None
    desk.get_by_role("tab", name="Doors").click()
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
    desk.get_by_role("button", name="Undo").click()
    expect(desk.locator("#lk-tau-status")).to_contain_text("front runs the threshold of before")
    desk.get_by_role("button", name="Strict").click()
    expect(slider).not_to_have_value(f"{chosen:g}")
    expect(desk.locator("#lk-numbers")).to_contain_text("of 10,000 visits")
    expect(desk.locator("#lk-replay")).to_contain_text("visits of the last 30 days")

    desk.get_by_role("tab", name="People").click()
    desk.get_by_role("button", name="Open Ana Almeida").first.click()
    expect(desk.locator("#lk-person")).to_contain_text("Agreed to version 1")
    desk.locator("#lk-edit-name input, #lk-edit-name textarea").first.fill("Ana Maria Almeida")
    desk.get_by_role("button", name="Save").click()
    expect(desk.locator("#lk-person-status")).to_contain_text("front has the change")
    desk.get_by_text("Erase this person").click()
    typed = desk.locator("#lk-typed input, #lk-typed textarea").first
    typed.fill("Ana")
    desk.get_by_role("button", name="Erase for good").click()
    expect(desk.locator("#lk-remove-status .lk-bad")).to_contain_text("Type the name, Ana Maria Almeida")
    typed.fill("ana maria almeida")
    desk.get_by_role("button", name="Erase for good").click()
    expect(desk.locator("#lk-remove-status")).to_contain_text("front has forgotten Ana Maria Almeida")
    expect(desk.locator("#lk-remove-status")).to_contain_text("Receipt")
    expect(desk.locator("#lk-people")).to_contain_text("Nobody is enrolled yet")


def test_every_event_says_why_and_the_records_are_whole(desk: Page) -> None:
    desk.get_by_role("tab", name="Events").click()
    desk.locator("#lk-all-events .lk-ask-why").first.click()
    expect(desk.locator("#lk-why-event")).to_contain_text("front")
    desk.get_by_role("button", name="Verify the records").click()
    expect(desk.locator("#lk-whole .lk-good").first).to_contain_text("The record of acts is whole")
    with desk.expect_download() as download:
        desk.get_by_role("link", name="as CSV").click()
    assert download.value.path().read_text("utf-8-sig").startswith("time (UTC),door,outcome")


def test_many_at_once_wait_for_a_yes(desk: Page, faces: dict[int, list[ImageArray]], tmp_path: Path) -> None:
    path = tmp_path / "staff.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("people.csv", "file,name,consent\na.png,Bo <b>Costa</b>,yes\nb.png,Nobody,yes\n")
        grown = cv2.resize(faces[32][0], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(np.asarray(grown), 60, 60, 80, 80, cv2.BORDER_REPLICATE)
        archive.writestr("a.png", cv2.imencode(".png", framed)[1].tobytes())
        archive.writestr("b.png", b"no picture")
    desk.get_by_role("tab", name="Enrol").click()
    desk.locator("#lk-batch input[type=file]").set_input_files(path)
    table = desk.locator("#lk-batch-table")
    expect(table).to_contain_text("1 good, 1 refused")
    expect(table).to_contain_text("Bo <b>Costa</b>")
    expect(table).to_contain_text("not an image")
    desk.reload()
    desk.get_by_role("tab", name="Enrol").click()
    expect(table).to_contain_text("1 good, 1 refused")
    desk.get_by_role("button", name="Enrol these 1").click()
    expect(table).to_contain_text("1 enrolled, 1 refused")
    with desk.expect_download() as download:
        desk.get_by_role("link", name="Download the table").click()
    assert ",enrolled," in download.value.path().read_text("utf-8-sig")
    desk.get_by_role("tab", name="People").click()
    desk.get_by_role("button", name="Open Bo <b>Costa</b>").click()
    desk.get_by_text("Erase this person").click()
    desk.locator("#lk-typed input, #lk-typed textarea").first.fill("Bo <b>Costa</b>")
    desk.get_by_role("button", name="Erase for good").click()
    expect(desk.locator("#lk-remove-status")).to_contain_text("Receipt")


def test_a_viewer_sees_and_changes_nothing(chromium: Browser, desk: Page, building: Building) -> None:
    desk.get_by_role("tab", name="Accounts").click()
    desk.locator("#lk-new-account input, #lk-new-account textarea").first.fill("vera")
    desk.get_by_role("button", name="Make an account with the role above").click()
    secret = desk.locator("#lk-accounts-status code")
    expect(secret).to_be_visible()
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(LONG_MS)
    log_in(page, building, "vera", secret.inner_text())
    expect(page.locator("#lk-header")).to_contain_text("vera")
    expect(page.locator("#lk-header")).to_contain_text("viewer")
    expect(page.get_by_role("tab", name="Enrol")).to_be_hidden()
    page.get_by_role("tab", name="Doors").click()
    expect(page.locator("#lk-door-state")).to_contain_text("front")
    expect(page.get_by_role("button", name="Unlock")).to_be_hidden()
    # What the page hides, the server refuses: the same cookie in a program's hands.
    cookies = "; ".join(f"{one['name']}={one['value']}" for one in context.cookies())
    client = Client(building.page.url, headers={"Cookie": cookies}, verbose=False, download_files=False)
    for endpoint, values in (("unlock", ("front", "")), ("set_tau", ("front", 0.5)), ("remove", ("x",))):
        answer = client.predict(*values, api_name=f"/{endpoint}")
        assert (answer["ok"], answer["error"]) == (False, "NotAllowed"), endpoint
    client.close()
    assert page.request.get(f"{building.page.url}/person/x.json").status == 403
    assert page.request.post(f"{building.page.url}/pairing/front.zip").status == 403
    context.close()
    desk.locator("#lk-account-choice input").click()
    desk.get_by_role("option", name="vera").click()
    desk.locator("#lk-remove-account").click()
    expect(desk.locator("#lk-accounts-status")).to_contain_text("vera is removed")


def test_a_session_that_is_over_costs_nothing_that_was_typed(chromium: Browser, building: Building) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(LONG_MS)
    log_in(page, building)
    page.get_by_role("tab", name="Enrol").click()
    expect(page.locator("#lk-consent-text")).to_contain_text("version 1")  # the form is whole
    page.get_by_label("Name", exact=True).fill("Ana Almeida")
    context.clear_cookies()
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator("#lk-over")).to_contain_text("Your session is over. What you typed stays here")
    with context.expect_page() as opened:
        page.get_by_role("link", name="log in again in a new tab").click()
    log_in(opened.value, building)
    opened.value.close()
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator("#lk-enrol-status .lk-bad")).to_contain_text("tick the box")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ana Almeida")
    expect(page.locator("#lk-over")).to_be_hidden()
    context.close()


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
