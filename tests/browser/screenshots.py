"""Make the pictures of the page for docs: `python -m tests.browser.screenshots docs/images`. AT&T faces only."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import cv2
from playwright.sync_api import Page, sync_playwright

from device.demo_camera import DemoPlan, DemoScene
from firmware_config.att import att_faces
from tests.brokers import Mosquitto
from tests.browser.conftest import OFFLINE_FLAGS, Building, chromium_program
from tests.page_server import ACCOUNT, PASSWORD

NAMES = {31: "Ana Almeida", 32: "Bruno Costa", 33: "Carla Dias", 34: "Davi Esteves", 35: "Elif Faber"}
"""Invented names for five AT&T people."""
WALKUPS_S = 45
"""Long enough for a dozen people at the demo's door."""
WIDE = {"width": 1280, "height": 860}
NARROW = {"width": 360, "height": 780}
WAIT_MS = 60_000


def main(target: Path) -> int:
    target.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        building = Building(folder, broker, camera="demo:?owners=31-35&strangers=1-20")
        stack.callback(building.stop)
        building.start()
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=list(OFFLINE_FLAGS))
        stack.callback(browser.close)
        page = browser.new_page(viewport=WIDE)  # type: ignore[arg-type]
        page.set_default_timeout(WAIT_MS)
        page.goto(building.page.url)
        page.screenshot(path=target / "page-login.png")
        page.get_by_label("Account").fill(ACCOUNT)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        for person, name in list(NAMES.items())[1:]:
            enrol(page, folder, name, person)
        choose(page, folder, "Ana Almeida", 31)
        page.locator("#lk-verdict .lk-verdict").wait_for()
        page.wait_for_timeout(1500)
        page.screenshot(path=target / "page-people.png", full_page=True)
        enrol(page, folder, "Ana Almeida", 31)
        time.sleep(WALKUPS_S)
        with building.leaf.open("w") as leaf:
            leaf.write("open\n")
        page.wait_for_timeout(3000)
        for tab in ("Door", "Threshold"):
            page.get_by_role("tab", name=tab).click()
            page.wait_for_timeout(4000)
            page.screenshot(path=target / f"page-{tab.lower()}.png", full_page=True)
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        page.get_by_role("tab", name="Door").click()
        page.wait_for_timeout(2000)
        page.screenshot(path=target / "page-door-narrow.png")
    return 0


def choose(page: Page, folder: Path, name: str, person: int) -> None:
    """Put a photo and a name into the form: the person before a plain wall."""
    plan = DemoPlan(owners=(person,), strangers=(), photos=(1,))
    frame, _ = DemoScene(plan, att_faces()).at(plan.approach + plan.pause / 2)
    path = folder / "photo.png"
    cv2.imwrite(str(path), frame)
    page.locator("#lk-photo").get_by_role("button", name="Upload").first.click()
    page.locator("#lk-photo input[type=file]").set_input_files(path)
    page.get_by_label("Name").fill(name)
    page.locator("#lk-photo img").wait_for()


def enrol(page: Page, folder: Path, name: str, person: int) -> None:
    if page.get_by_label("Name").input_value() != name:
        choose(page, folder, name, person)
        page.locator("#lk-verdict .lk-verdict").wait_for()
    page.get_by_role("button", name="Enrol").click()
    confirm = page.locator("#lk-confirm input")
    told = page.locator("#lk-enrol-status")
    told.get_by_text(f"knows {name} now").or_(told.locator(".lk-warn")).first.wait_for()
    if confirm.is_visible():
        confirm.check()
        page.get_by_role("button", name="Enrol").click()
        told.get_by_text(f"knows {name} now").wait_for()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
