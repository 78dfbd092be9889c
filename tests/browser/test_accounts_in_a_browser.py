"""Logging in, one-time codes, and what a viewer sees, in a real Chromium."""

from __future__ import annotations

import time

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from gradio_client import Client
from playwright.sync_api import Page, expect

from admin_ui import totp
from tests.browser.complaints import Complaints
from tests.browser.conftest import Building, OpenPage
from tests.browser.hands import MARKS, choose, log_in, show_tab, type_into
from tests.page_server import ACCOUNT

pytestmark = MARKS


def test_a_viewer_sees_and_changes_nothing(open_page: OpenPage, desk: Page, building: Building) -> None:
    desk.get_by_role("tab", name="Accounts").click()
    desk.locator("#lk-new-account input, #lk-new-account textarea").first.fill("vera")
    desk.get_by_role("button", name="Make an account with the role above").click()
    secret = desk.locator("#lk-accounts-status code")
    expect(secret).to_be_visible()
    page = open_page()
    log_in(page, building, "vera", secret.inner_text())
    expect(page.locator("#lk-header")).to_contain_text("vera")
    expect(page.locator("#lk-header")).to_contain_text("viewer")
    expect(page.get_by_role("tab", name="Enrol")).to_be_hidden()
    page.get_by_role("tab", name="Doors").click()
    expect(page.locator("#lk-door-state")).to_contain_text("front")
    expect(page.get_by_role("button", name="Unlock")).to_be_hidden()
    # What the page hides, the server refuses: the same cookie in a program's hands.
    cookies = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
    client = Client(building.page.url, headers={"Cookie": cookies}, verbose=False, download_files=False)
    for endpoint, values in (("unlock", ("front", "")), ("set_tau", ("front", 0.5)), ("remove", ("x",))):
        answer = client.predict(*values, api_name=f"/{endpoint}")
        assert (answer["ok"], answer["error"]) == (False, "NotAllowed"), endpoint
    client.close()
    assert page.request.get(f"{building.page.url}/person/x.json").status == 403
    assert page.request.post(f"{building.page.url}/pairing/front.zip").status == 403
    page.context.close()
    desk.locator("#lk-account-choice input").click()
    desk.get_by_role("option", name="vera").click()
    desk.locator("#lk-remove-account").click()
    expect(desk.locator("#lk-accounts-status")).to_contain_text("vera is removed")


def test_login_in_a_browser(open_page: OpenPage, building: Building, complaints: Complaints) -> None:
    page = open_page()
    page.goto(building.page.url)
    page.get_by_label("Account").fill(ACCOUNT)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    complaints.expect("401.* at /login$")
    assert page.get_by_label("Account").input_value() == ACCOUNT
    log_in(page, building)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.goto(building.page.url)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert httpx.get(f"{building.page.url}/config").status_code == 401


def test_a_code_of_the_telephone_is_asked_for_besides_the_password(
    open_page: OpenPage, desk: Page, building: Building, complaints: Complaints
) -> None:
    show_tab(desk, "Accounts")
    type_into(desk, "lk-new-account", "tina")
    desk.get_by_role("button", name="Make an account with the role above").click()
    password = desk.locator("#lk-accounts-status code").inner_text()
    page = open_page()
    log_in(page, building, "tina", password)
    show_tab(page, "Accounts")
    page.get_by_role("button", name="Set up codes").click()
    expect(page.get_by_alt_text("QR code for the authenticator app")).to_be_visible()
    secret = totp.untyped(page.locator("#lk-codes-secret code").inner_text())
    app = TOTP(secret, totp.DIGITS, SHA1(), totp.STEP_S, enforce_key_length=False)
    type_into(page, "lk-code", "000000")
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#lk-codes-status .lk-bad")).to_contain_text("not the code of now")
    # The app's last code: the one of now is left for the login, for each is good once.
    type_into(page, "lk-code", app.generate(int(time.time()) - totp.STEP_S).decode())
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#lk-codes-status")).to_contain_text("From the next login on")
    page.get_by_role("button", name="Log out").click()

    page.get_by_label("Account").fill("tina")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    code = page.get_by_label("Code of your authenticator app")
    code.fill("000000")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the code of now")
    code.fill(app.generate(int(time.time())).decode())
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#lk-header")).to_contain_text("tina")
    show_tab(page, "Accounts")
    type_into(page, "lk-end-password", password)
    page.get_by_role("button", name="Ask for no codes any more").click()
    expect(page.locator("#lk-codes-status")).to_contain_text("asks for no codes any more")
    complaints.expect("401.* at /login/code$")
    page.context.close()
    desk.reload()
    show_tab(desk, "Accounts")
    choose(desk, "lk-account-choice", "tina")
    desk.locator("#lk-remove-account").click()
    expect(desk.locator("#lk-accounts-status")).to_contain_text("tina is removed")
