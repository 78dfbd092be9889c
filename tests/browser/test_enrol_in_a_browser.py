"""Enrolling one and many at the desk, and the threshold moved, in a real Chromium with a door behind it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from firmware_config.face import ImageArray
from tests.browser.complaints import Complaints
from tests.browser.conftest import Building, OpenPage
from tests.browser.hands import MARKS, enrol_ana, framed, log_in

pytestmark = MARKS


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


def test_many_at_once_wait_for_a_yes(desk: Page, faces: dict[int, list[ImageArray]], tmp_path: Path) -> None:
    path = tmp_path / "staff.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("people.csv", "file,name,consent\na.png,Bo <b>Costa</b>,yes\nb.png,Nobody,yes\n")
        archive.write(framed(faces[32][0], tmp_path / "a.png"), "a.png")
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


def test_a_session_that_is_over_costs_nothing_that_was_typed(
    open_page: OpenPage, building: Building, complaints: Complaints
) -> None:
    page = open_page()
    log_in(page, building)
    page.get_by_role("tab", name="Enrol").click()
    expect(page.locator("#lk-consent-text")).to_contain_text("version 1")  # the form is whole
    page.get_by_label("Name", exact=True).fill("Ana Almeida")
    page.context.clear_cookies()
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator("#lk-over")).to_contain_text("Your session is over. What you typed stays here")
    complaints.expect("401.* at /gradio_api/")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="log in again in a new tab").click()
    log_in(opened.value, building)
    opened.value.close()
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator("#lk-enrol-status .lk-bad")).to_contain_text("tick the box")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Ana Almeida")
    expect(page.locator("#lk-over")).to_be_hidden()
