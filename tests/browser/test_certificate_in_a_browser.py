"""What the Doors tab says of the page's own certificate, in a real Chromium over https."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from admin_ui import webcert
from firmware_config.broker_tls import WARN_BEFORE
from firmware_config.settings import load_admin
from tests.browser.complaints import Complaints
from tests.browser.conftest import LONG_MS
from tests.browser.hands import show_tab
from tests.page_server import ACCOUNT, PASSWORD
from tests.served import Served, found_for_others, latchkey_admin

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    """A fresh site for other machines, not started yet."""
    served = found_for_others(tmp_path)
    yield served
    served.stop()


@pytest.fixture
def desk(chromium: Browser, page: Served, complaints: Complaints) -> Iterator[Page]:
    """A browser whose user goes on although nobody has signed the certificate."""
    context = chromium.new_context(ignore_https_errors=True)
    complaints.watch(context, page.url)
    opened = context.new_page()
    opened.set_default_timeout(LONG_MS)
    yield opened
    context.close()


def show_doors(desk: Page, page: Served) -> None:
    desk.goto(page.url)
    show_tab(desk, "Doors")
    expect(desk.locator("#lk-door-state")).to_contain_text("There is no door yet")


def test_a_certificate_that_ends_soon_is_told_on_the_doors_tab_until_it_is_renewed(
    desk: Page, page: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = desk.locator("#lk-door-state .lk-warn")
    with monkeypatch.context() as short:
        short.setattr(webcert, "LASTS", WARN_BEFORE - timedelta(days=1))
        ends = webcert.make(load_admin(page.settings)).ends
    page.start()
    desk.goto(page.url)
    desk.get_by_label("Account").fill(ACCOUNT)
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Log in").click()
    desk.get_by_role("tab", name="People").wait_for()
    show_doors(desk, page)
    expect(told).to_have_text(
        f"The page's certificate for browsers ends on {ends:%Y-%m-%d}. "
        "Renew it: `latchkey-admin web-certificate`, then restart the page."
    )
    assert f"ends on {ends:%Y-%m-%d}" in page.log.read_text("utf-8")
    assert desk.evaluate("isSecureContext"), "without it there is no webcam"

    desk.goto("about:blank")
    page.stop()
    latchkey_admin(page.settings, "web-certificate")
    page.start()
    show_doors(desk, page)
    expect(told).to_have_count(0)
