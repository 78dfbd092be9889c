"""An encoder shipped by who has read what it takes the place of; somebody else may have shipped one meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from admin_ui.service import Office
from tests.admin_ui.open_page import OpenPage, upload

Bundle = Callable[[int], bytes]


@pytest.fixture
def store_url() -> str:
    """SQLite: what a page shows does not depend on the store."""
    return ""


@pytest.fixture
def bundle(office: Office, make_bundle: Callable[..., bytes]) -> Bundle:
    """bundle(number): version 0.number.0; 0.1.0 is in force at first."""
    return lambda number: make_bundle(office._keyring.site, version=f"0.{number}.0", seed=number)


def ship(page: OpenPage, file: dict[str, Any]) -> list[str]:
    """-> refusals, but for doors that are away."""
    refusals = page.press("ModelsWork.ship", lk_bundle=file, lk_leave_out=False).refusals
    return [told for told in refusals if "as soon as the link is back" not in told]


def version(office: Office) -> str:
    return office.models()[0].version


def test_a_page_that_was_left_open_takes_back_no_newer_encoder(office: Office, app: FastAPI, bundle: Bundle) -> None:
    page, file = OpenPage(app), upload("second.latchkey", bundle(2))
    page.press("ModelsWork.read", lk_bundle=file)
    office.ship_model(bundle(3), "boss")
    (told,) = ship(page, file)
    assert told.startswith("toy 0.3.0 is in force now, and this bundle is older. Choose the file once more")
    assert version(office) == "0.3.0"

    page.press("ModelsWork.read", lk_bundle=file)  # shown to be older
    office.ship_model(bundle(4), "boss")
    assert "toy 0.4.0 is in force now" in ship(page, file)[0]
    assert version(office) == "0.4.0"


def test_who_has_read_that_it_is_older_goes_back_with_it(office: Office, app: FastAPI, bundle: Bundle) -> None:
    office.ship_model(bundle(3), "boss")
    page, file = OpenPage(app), upload("second.latchkey", bundle(2))
    page.press("ModelsWork.read", lk_bundle=file)
    assert ship(page, file) == []
    assert version(office) == "0.2.0"
