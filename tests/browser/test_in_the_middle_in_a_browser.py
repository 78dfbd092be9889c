"""Broker, session, the page itself and the browser's tab end in the middle of what somebody does at the desk: in a real
Chromium, with a real door behind it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from admin_ui.service import Office
from firmware_config.face import ImageArray
from tests.browser.bundles import VERSION, another
from tests.browser.conftest import Building
from tests.browser.hands import LONG_MS, MARKS, choose, framed, log_in, program, show_tab, type_into
from tests.page_server import ACCOUNT

pytestmark = MARKS


@pytest.fixture
def page(chromium: Browser, building: Building) -> Iterator[Page]:
    """A logged-in page whose console may complain: here the server is away on purpose."""
    context = chromium.new_context()
    made = context.new_page()
    made.set_default_timeout(LONG_MS)
    log_in(made, building)
    yield made
    context.close()


@pytest.fixture
def staff(faces: dict[int, list[ImageArray]], tmp_path: Path) -> Path:
    """A ZIP of two people."""
    path = tmp_path / "staff.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for person, name in ((35, "Bo Costa"), (36, "Cai Dias")):
            archive.write(framed(faces[person][0], tmp_path / f"{person}.png"), f"{name}.png")
    return path


@pytest.fixture(autouse=True)
def nobody_stays(page: Page, building: Building) -> Iterator[None]:
    """Whoever was enrolled here is erased at the end."""
    client = program(page, building)
    before = {person["id"] for person in client.predict(api_name="/people")["people"]}
    client.close()
    yield
    with_cookie = program(page, building)
    for person in with_cookie.predict(api_name="/people")["people"]:
        if person["id"] not in before:
            with_cookie.predict(person["id"], api_name="/remove")
    with_cookie.close()


def read_batch(page: Page, staff: Path) -> None:
    show_tab(page, "Enrol")
    page.locator("#lk-batch input[type=file]").set_input_files(staff)
    expect(page.locator("#lk-batch-table")).to_contain_text("2 good, 0 refused")


def release(building: Building) -> None:
    """Whatever came of the test, the door opens for the next one."""
    office = Office(building.page.settings)
    try:
        office.release("front", "test")
    finally:
        office.stop()


def log_in_beside(page: Page, building: Building) -> None:
    """As the strip at the foot of the page says."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="log in again in a new tab").click()
    log_in(opened.value, building)
    opened.value.close()


def test_what_is_done_without_a_broker_is_told_and_done_once_when_it_is_back(
    page: Page, building: Building, staff: Path, request: pytest.FixtureRequest
) -> None:
    read_batch(page, staff)
    building.broker.stop()
    request.addfinalizer(lambda: building.broker.stop() or building.broker.start())
    show_tab(page, "Doors")
    expect(page.locator("#lk-door-state")).to_contain_text("The page has no connection to the broker")
    type_into(page, "lk-why", "a courier")
    page.locator("#lk-unlock").click()
    expect(page.locator("#lk-unlock-status .lk-bad")).to_contain_text("front was not asked. Try again when it is back.")
    expect(page.locator("#lk-why input, #lk-why textarea").first).to_have_value("a courier")
    show_tab(page, "Enrol")
    page.get_by_role("button", name="Enrol these 2").click()
    expect(page.locator("#lk-batch-status")).to_contain_text("front will learn of it as soon as the link is back")
    expect(page.locator("#lk-batch-table")).to_contain_text("2 enrolled, 0 refused")
    building.broker.start()
    show_tab(page, "Doors")
    expect(page.locator("#lk-door-state .lk-pill")).to_have_text(["Online"])
    expect(page.locator("#lk-door-state")).to_contain_text("up to date")
    show_tab(page, "People")
    for name in ("Bo Costa", "Cai Dias"):
        expect(page.get_by_role("button", name=f"Open {name}")).to_have_count(1)


def test_a_session_that_ends_in_any_tab_costs_nothing_and_nothing_is_done_twice(
    page: Page, building: Building, staff: Path
) -> None:
    read_batch(page, staff)
    show_tab(page, "Threshold")
    expect(page.locator("#lk-meaning")).to_contain_text("stranger")
    page.get_by_role("button", name="Strict").click()
    slider = page.locator("#lk-tau input[type=range]")
    show_tab(page, "Doors")
    type_into(page, "lk-why", "a courier")
    type_into(page, "lk-pair", "cellar")
    show_tab(page, "Accounts")
    type_into(page, "lk-new-account", "olga")
    page.context.clear_cookies()
    over = page.locator("#lk-over")
    page.locator("#lk-add-account").click()
    expect(over).to_contain_text("Your session is over. What you typed stays here")
    for tab, button in (("Doors", "#lk-unlock"), ("Threshold", "#lk-apply"), ("Enrol", "#lk-batch-enrol")):
        show_tab(page, tab)
        page.locator(button).click()
        expect(over).to_be_visible()
    log_in_beside(page, building)

    page.locator("#lk-batch-enrol").click()
    expect(page.locator("#lk-batch-table")).to_contain_text("2 enrolled, 0 refused")
    expect(over).to_be_hidden()
    show_tab(page, "Threshold")
    chosen = float(slider.input_value())
    page.locator("#lk-apply").click()
    expect(page.locator("#lk-tau-status")).to_contain_text(f"front runs threshold {chosen:.3f} now")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#lk-tau-status")).to_contain_text("front runs the threshold of before")
    show_tab(page, "Doors")
    page.locator("#lk-unlock").click()
    expect(page.locator("#lk-unlock-status .lk-good")).to_be_visible()
    expect(page.locator("#lk-events")).to_contain_text(f"By {ACCOUNT}: a courier")
    expect(page.locator("#lk-pair input, #lk-pair textarea").first).to_have_value("cellar")
    show_tab(page, "Accounts")
    page.locator("#lk-add-account").click()
    expect(page.locator("#lk-accounts-status code")).to_be_visible()
    expect(page.locator("#lk-accounts tbody tr", has_text="olga")).to_have_count(1)
    choose(page, "lk-account-choice", "olga")
    page.locator("#lk-remove-account").click()
    expect(page.locator("#lk-accounts-status")).to_contain_text("olga is removed")


def test_a_page_that_is_restarted_goes_on_in_the_tab_that_is_open(page: Page, building: Building) -> None:
    over = page.locator("#lk-over")
    show_tab(page, "Doors")
    expect(page.locator("#lk-door-state .lk-pill")).to_have_text(["Online"])
    type_into(page, "lk-why", "a courier")
    building.page.stop()
    page.locator("#lk-unlock").click()
    expect(over).to_contain_text("The page cannot be reached. What you typed stays here")
    building.page.start()
    expect(over).to_be_hidden()
    expect(page.locator("#lk-door-state .lk-pill")).to_have_text(["Online"])
    expect(page.locator("#lk-why input, #lk-why textarea").first).to_have_value("a courier")
    page.locator("#lk-unlock").click()
    expect(page.locator("#lk-unlock-status .lk-good")).to_be_visible()
    expect(page.locator("#lk-events")).to_contain_text(f"By {ACCOUNT}: a courier")


def test_a_page_that_ends_in_the_middle_of_an_answer_asks_for_a_reload_and_does_none_itself(
    page: Page, building: Building, request: pytest.FixtureRequest
) -> None:
    show_tab(page, "Doors")
    expect(page.locator("#lk-door-state .lk-pill")).to_have_text(["Online"])
    building.stop_door()
    request.addfinalizer(building.start_door)
    request.addfinalizer(lambda: release(building))
    type_into(page, "lk-pair", "cellar")
    page.get_by_role("button", name="Lock down").click()
    expect(page.locator("#lk-unlock-status")).to_contain_text("Waiting for front")
    building.page.kill()
    building.page.start()
    over = page.locator("#lk-over")
    expect(over).to_contain_text("The page was away. Copy what you typed, then reload it.")
    expect(page.locator("#lk-pair input, #lk-pair textarea").first).to_have_value("cellar")
    over.get_by_role("link").click()
    expect(over).to_be_hidden()
    show_tab(page, "Doors")
    expect(page.locator("#lk-door-state .lk-pill")).to_have_text(["Offline", "Locked down"])
    page.get_by_role("button", name="Release").click()
    expect(page.locator("#lk-unlock-status")).to_contain_text("front is released")
    expect(page.locator("#lk-door-state .lk-pill")).to_have_text(["Offline"])


def test_a_browser_reloaded_while_an_encoder_is_tried_shows_how_far_it_is(
    page: Page, building: Building, tmp_path: Path
) -> None:
    show_tab(page, "Models")
    page.locator("#lk-bundle input[type=file]").set_input_files(another(building, tmp_path / "another.latchkey"))
    page.get_by_role("button", name="Try it at this door first").click()
    expect(page.locator("#lk-model-status")).not_to_be_empty()
    page.reload()
    show_tab(page, "Models")
    trial = page.locator("#lk-trial")
    expect(trial).to_contain_text(f"{VERSION} runs ahead at front")
    expect(trial).to_contain_text("front has passed the self-test and runs it")
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator("#lk-trial-status")).to_contain_text("is taken back")
    expect(trial).to_be_empty()
    show_tab(page, "Doors")
    encoder = page.locator("#lk-door-state .lk-tile", has_text="Encoder")
    expect(encoder).not_to_contain_text(re.compile(re.escape(VERSION)))
