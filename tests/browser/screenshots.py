"""Make the pictures of the page for docs: `python -m tests.browser.screenshots docs/images`. AT&T faces only."""

from __future__ import annotations

import io
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import cv2
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from admin_ui.service import Office
from device.demo_camera import DemoPlan, DemoScene
from firmware_config.att import att_faces
from tests.brokers import Mosquitto
from tests.browser.bundles import another
from tests.browser.conftest import OFFLINE_FLAGS, Building, chromium_program
from tests.browser.hands import TABS, show_tab
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
"""Ending of a picture's name -> width in pixels, colours and language: what the guides use."""
EVERY_LOOK = {
    f"-{width}-{colours}-{language}": (width, colours, language)
    for width in (1280, 360)
    for colours in ("light", "dark")
    for language in ("en", "zh-CN")
}
"""All that there is to be looked at before a release: `--every`."""
WAIT_MS = 120_000
COLOURS = 256
DRAWN_MS = 3500
"""What a tab's last answer and its pictures take."""


def main(target: Path, looks: dict[str, tuple[int, str, str]]) -> int:
    target.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        building = Building(folder, broker, camera="demo:?owners=31-35&strangers=1-20")
        enrol_all(building)
        stack.callback(building.stop)
        building.start()
        (folder / "photo.png").write_bytes(photo(31))
        another(building, folder / "another.latchkey")
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=list(OFFLINE_FLAGS))
        stack.callback(browser.close)
        time.sleep(WALKUPS_S)
        with building.leaf.open("w") as leaf:
            leaf.write("open\n")
        for ending, (width, colours, language) in looks.items():
            page = log_in(browser, building, width, colours, language)
            page.goto(f"{building.page.url}/login")
            keep(page.screenshot(), target / f"page-login{ending}.png")
            page.goto(building.page.url)
            for tab, name in TABS.items():
                show_tab(page, tab)
                prepare(page, tab, folder)
                page.wait_for_timeout(DRAWN_MS)
                keep(page.screenshot(full_page=True), target / f"page-{name}{ending}.png")
            page.close()
    return 0


def keep(png: bytes, path: Path) -> None:
    """With a palette: a third of the size, and nobody sees it."""
    Image.open(io.BytesIO(png)).convert("RGB").quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    ).save(path, optimize=True)


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
    elif tab == "Models":
        page.locator("#lk-bundle input[type=file]").set_input_files(folder / "another.latchkey")
        page.locator("#lk-compared table").wait_for()
    elif tab == "Accounts":
        page.locator("#lk-begin-codes").click()
        page.locator("#lk-codes-secret img").wait_for()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), EVERY_LOOK if sys.argv[2:] == ["--every"] else LOOKS))
