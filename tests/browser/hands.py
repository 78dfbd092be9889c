"""What somebody at the desk does again and again."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from firmware_config.face import ImageArray
from tests.browser.conftest import LONG_MS, Building
from tests.page_server import ACCOUNT, PASSWORD

WHY = "a fire drill"
"""Typed as the reason of a lock-down; it stands in the record of acts as it was typed, in whatever language."""
MARKS = [pytest.mark.browser, pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]

expect.set_options(timeout=LONG_MS)


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


def show_tab(page: Page, tab: str) -> None:
    """By its id, for its name is another one in Chinese; what a telephone has no room for is behind three dots."""
    page.get_by_role("tab").first.wait_for()
    wanted = page.locator(f'#lk-tabs [role="tab"][data-tab-id="{TABS[tab]}"]').first
    if wanted.is_visible():
        wanted.click()
        return
    page.locator("#lk-tabs .overflow-menu > button").click()
    names = page.locator(".overflow-dropdown").get_by_role("button")
    names.nth(list(TABS).index(tab) - (len(TABS) - names.count())).click()


TABS = {"People": "people", "Enrol": "enrol", "Doors": "door", "Events": "events", "Threshold": "threshold"}
TABS |= {"Models": "models", "Accounts": "accounts"}
"""Name -> id, in their order."""


def type_into(page: Page, elem_id: str, text: str) -> None:
    """Gradio makes an input or a textarea of it."""
    page.locator(f"#{elem_id} input, #{elem_id} textarea").first.fill(text)


def choose(page: Page, elem_id: str, option: str) -> None:
    page.locator(f"#{elem_id} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def program(page: Page, building: Building) -> Client:
    """A program with the cookie of whoever is logged in here."""
    cookies = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
    return Client(building.page.url, headers={"Cookie": cookies}, verbose=False, download_files=False)


def framed(photo: ImageArray, path: Path) -> Path:
    """An AT&T face as somebody before a plain wall, PNG."""
    grown = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    whole = cv2.copyMakeBorder(np.asarray(grown), 60, 60, 80, 80, cv2.BORDER_REPLICATE)
    path.write_bytes(cv2.imencode(".png", whole)[1].tobytes())
    return path
