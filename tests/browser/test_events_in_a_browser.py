"""What happened at the doors: explained, filtered and downloaded, in a real Chromium."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta, timezone

from playwright.sync_api import Page, expect

from tests.browser.hands import LONG_MS, MARKS, choose, show_tab, type_into

pytestmark = MARKS


def test_every_event_says_why_and_the_records_are_whole(desk: Page) -> None:
    desk.get_by_role("tab", name="Events").click()
    # Another test may have had a second door.
    desk.locator('#lk-all-events .lk-ask-why[data-door="front"]').first.click()
    expect(desk.locator("#lk-why-event")).to_contain_text("front")
    desk.get_by_role("button", name="Verify the records").click()
    expect(desk.locator("#lk-whole .lk-good").first).to_contain_text("The record of acts is whole")
    with desk.expect_download() as download:
        desk.get_by_role("link", name="as CSV").click()
    assert download.value.path().read_text("utf-8-sig").startswith("time (UTC),door,outcome")


def test_a_new_event_takes_nobodys_hand_off_the_one_they_are_on(desk: Page) -> None:
    show_tab(desk, "Events")
    buttons = desk.locator("#lk-all-events .lk-ask-why")
    expect(buttons.nth(2)).to_be_visible(timeout=2 * LONG_MS)
    held = "document.activeElement.dataset.event"
    for _ in range(2):
        buttons.nth(1).focus()
        mine, newest = desk.evaluate(held), buttons.first.get_attribute("data-event")
        assert mine
        expect(buttons.first).not_to_have_attribute("data-event", str(newest), timeout=2 * LONG_MS)
        assert desk.evaluate(held) == mine
    # Whoever has left it is not called back.
    desk.locator("#lk-event-person textarea, #lk-event-person input").first.focus()
    newest = buttons.first.get_attribute("data-event")
    expect(buttons.first).not_to_have_attribute("data-event", str(newest), timeout=2 * LONG_MS)
    assert desk.evaluate("document.activeElement.closest('#lk-event-person') !== null")


def test_events_are_filtered_and_what_is_downloaded_is_what_is_shown(desk: Page) -> None:
    show_tab(desk, "Doors")
    type_into(desk, "lk-why", "=a courier")
    desk.locator("#lk-unlock").click()
    expect(desk.locator("#lk-unlock-status .lk-good")).to_be_visible(timeout=LONG_MS)
    show_tab(desk, "Events")
    choose(desk, "lk-reason", "remote unlock")
    rows = desk.locator("#lk-all-events li")
    expect(rows.first).to_contain_text("By admin: =a courier")
    expect(rows.filter(has_not_text="remote unlock")).to_have_count(0)
    with desk.expect_download() as download:
        desk.get_by_role("link", name="as CSV").click()
    with download.value.path().open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert {row["reason"] for row in table} == {"remote_unlock"}
    assert table[0]["why"] == "'=a courier", "no cell becomes a formula"
    type_into(desk, "lk-event-person", "nobody of this name")
    expect(desk.locator("#lk-all-events")).to_contain_text("Nothing has happened yet")
    expect(desk.locator("#lk-events-csv")).to_be_empty()
    type_into(desk, "lk-event-person", "")
    expect(rows.first).to_be_visible()
    tomorrow = datetime.now(timezone.utc) + timedelta(days=2)
    type_into(desk, "lk-from", f"{tomorrow:%Y-%m-%d}")
    desk.locator("#lk-from input").first.press("Enter")
    expect(desk.locator("#lk-all-events")).to_contain_text("Nothing has happened yet")
    type_into(desk, "lk-from", "soon")
    desk.locator("#lk-from input").first.press("Enter")
    expect(desk.locator("#lk-all-events")).not_to_contain_text("Traceback")
