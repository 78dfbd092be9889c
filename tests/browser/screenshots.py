"""Make the pictures of the page for docs: `python -m tests.browser.screenshots docs/images`. AT&T faces only."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import cv2
from playwright.sync_api import Browser, Page, sync_playwright

from admin_ui.service import Office
from device.demo_camera import DemoPlan, DemoScene
from firmware_config.att import att_faces
from tests.brokers import Mosquitto
from tests.browser.conftest import OFFLINE_FLAGS, Building, chromium_program
from tests.page_server import ACCOUNT, PASSWORD

NAMES = {31: "Ana Almeida", 32: "Bruno Costa", 33: "Carla Dias", 34: "Davi Esteves", 35: "Elif Faber"}
"""Invented names for five AT&T people."""
WALKUPS_S = 45
"""Long enough for a dozen people at the demo's door."""
LOOKS = {
    "": (1280, "light", "en"),
    "-dark": (1280, "dark", "en"),
    "-narrow": (360, "light", "en"),
    "-zh": (1280, "light", "zh-CN"),
}
"""Ending of a picture's name -> width in pixels, colours and language."""
TABS = {"People": "people", "Enrol": "enrol", "Doors": "door", "Events": "events", "Threshold": "threshold"}
TABS |= {"Models": "models", "Accounts": "accounts"}
WAIT_MS = 120_000
DRAWN_MS = 3500
"""What a tab's last answer and its pictures take."""


def main(target: Path) -> int:
    target.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        building = Building(folder, broker, camera="demo:?owners=31-35&strangers=1-20")
        enrol_all(building)
        stack.callback(building.stop)
        building.start()
        (folder / "photo.png").write_bytes(photo(31))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=list(OFFLINE_FLAGS))
        stack.callback(browser.close)
        time.sleep(WALKUPS_S)
        with building.leaf.open("w") as leaf:
            leaf.write("open\n")
        for ending, (width, colours, language) in LOOKS.items():
            page = log_in(browser, building, width, colours, language)
            if not ending:
                page.goto(f"{building.page.url}/login")
                page.screenshot(path=target / "page-login.png")
                page.goto(building.page.url)
            for tab, name in TABS.items():
                show(page, tab)
                prepare(page, tab, folder)
                page.wait_for_timeout(DRAWN_MS)
                page.screenshot(path=target / f"page-{name}{ending}.png", full_page=True)
            page.close()
    return 0


def photo(person: int) -> bytes:
    """A person before a plain wall, PNG."""
    plan = DemoPlan(owners=(person,), strangers=(), photos=(1,))
    frame, _ = DemoScene(plan, att_faces()).at(plan.approach + plan.pause / 2)
    return bytes(cv2.imencode(".png", frame)[1])


def enrol_all(building: Building) -> None:
    """All but the first, whose photo the pictures show before it is saved."""
    office = Office(building.page.settings)
    try:
        office.keep_photos(True, ACCOUNT)
        for person, name in list(NAMES.items())[1:]:
            office.enrol(name, photo(person), [], ACCOUNT, confirm_duplicate=True, consent=True)
        office.add_account("olga", "operator", ACCOUNT)
    finally:
        office.stop()


def log_in(browser: Browser, building: Building, width: int, colours: str, language: str) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 860}, color_scheme=colours)  # type: ignore[arg-type]
    page.set_default_timeout(WAIT_MS)
    page.add_init_script(f"localStorage.setItem('lk-language', '{language}')")
    page.goto(building.page.url)
    page.locator("#account").fill(ACCOUNT)
    page.locator("#password").fill(PASSWORD)
    page.locator("form button").click()
    page.get_by_role("tab").first.wait_for()
    return page


def show(page: Page, tab: str) -> None:
    """A tab that a telephone has no room for is behind three dots."""
    page.get_by_role("tab").first.wait_for()
    # By its id: its name is another one in Chinese.
    wanted = page.locator(f'#lk-tabs [role="tab"][data-tab-id="{TABS[tab]}"]').first
    if wanted.is_visible():
        wanted.click()
        return
    page.locator("#lk-tabs .overflow-menu > button").click()
    page.locator(".overflow-dropdown").get_by_role("button", name=tab).click()


def prepare(page: Page, tab: str, folder: Path) -> None:
    """Something to look at."""
    if tab == "People":
        page.locator("#lk-people .lk-open").first.click()
    elif tab == "Enrol":
        page.locator("#lk-photo").get_by_role("button", name="Upload").first.click()
        page.locator("#lk-photo input[type=file]").set_input_files(folder / "photo.png")
        page.locator("#lk-verdict .lk-verdict").wait_for()
        page.locator("#lk-name input, #lk-name textarea").first.fill("Ana Almeida")
    elif tab == "Events":
        page.locator("#lk-all-events .lk-ask-why").first.click()
        page.locator("#lk-verify").click()
        page.locator("#lk-whole .lk-note").first.wait_for()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
