"""Another encoder read, compared, shipped and taken back from the desk, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.bundles import VERSION, another
from tests.browser.conftest import Building
from tests.browser.hands import MARKS, show_tab

pytestmark = MARKS


def test_another_encoder_is_compared_shipped_and_taken_back(desk: Page, building: Building, tmp_path: Path) -> None:
    show_tab(desk, "Models")
    running = desk.locator("#lk-model h2")
    before = running.inner_text()
    assert VERSION not in before
    damaged = tmp_path / "damaged.latchkey"
    damaged.write_bytes(b"PK no bundle")
    desk.locator("#lk-bundle input[type=file]").set_input_files(damaged)
    expect(desk.locator("#lk-model-status .lk-bad")).to_contain_text("not a whole bundle file")
    expect(desk.get_by_role("button", name="Ship it to all doors")).to_be_hidden()
    desk.get_by_role("button", name="Clear").or_(desk.get_by_label("Remove this file")).first.click()

    desk.locator("#lk-bundle input[type=file]").set_input_files(another(building, tmp_path / "another.latchkey"))
    compared = desk.locator("#lk-compared")
    expect(compared).to_contain_text(f"this: {VERSION}")
    expect(compared).to_contain_text("Nobody would have to be enrolled again.")
    expect(compared.get_by_text(f"Model card of {VERSION}")).to_be_visible()
    desk.get_by_role("button", name="Ship it to all doors").click()
    expect(desk.locator("#lk-model-status")).to_contain_text("is sent. Templates made for it: 0.")
    expect(running).to_contain_text(VERSION)
    show_tab(desk, "Doors")
    expect(desk.locator("#lk-door-state .lk-tile", has_text="Encoder")).to_contain_text(VERSION)

    show_tab(desk, "Models")
    desk.get_by_role("button", name="Go back to it").click()
    expect(desk.locator("#lk-back-status")).to_contain_text("is sent")
    expect(running).to_have_text(before)
    show_tab(desk, "Doors")
    expect(desk.locator("#lk-door-state .lk-tile", has_text="Encoder")).not_to_contain_text(VERSION)
