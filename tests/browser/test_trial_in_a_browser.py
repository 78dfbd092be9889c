"""A new encoder tried at one door first, from the desk: then all doors follow, or that one goes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import handle_file
from playwright.sync_api import Locator, Page, expect

from admin_ui.service import Office
from firmware_config.face import ImageArray
from tests.browser.bundles import VERSION, another
from tests.browser.conftest import WEBCAM_PERSON, Building
from tests.browser.hands import MARKS, choose, framed, program, show_tab

pytestmark = MARKS

COME_MS = 90_000
"""Until somebody whom the door knows has walked up: every second visit is theirs, and takes four seconds."""


START_MS = 90_000
"""A door's start, beside everything else on two cores."""


def card(desk: Page, door: str) -> Locator:
    """Of a door, on the Doors tab."""
    return desk.locator("#lk-door-state .lk-door", has=desk.get_by_role("heading", name=door))


@pytest.fixture
def cellar(desk: Page, building: Building) -> Iterator[str]:
    """A second door that runs -> its name."""
    with building.another_door("cellar"):
        show_tab(desk, "Doors")
        expect(card(desk, "cellar")).to_contain_text("up to date", timeout=START_MS)
        desk.reload()  # a list of doors is that of when the page was opened
        yield "cellar"


@pytest.fixture
def ana(desk: Page, building: Building, faces: dict[int, list[ImageArray]], tmp_path: Path) -> Iterator[None]:
    """Whoever walks up to the doors is enrolled, and her photo is kept: a new encoder has something to compare."""
    office = Office(building.page.settings)
    office.keep_photos(True, "test")
    client = program(desk, building)
    photo = handle_file(str(framed(faces[WEBCAM_PERSON][0], tmp_path / "ana.png")))
    made = client.predict("Ana Almeida", photo, [], True, True, api_name="/enrol")
    assert made["ok"], made
    yield
    client.predict(made["person"]["id"], api_name="/remove")
    client.close()
    office.keep_photos(False, "test")
    office.stop()


def try_at(desk: Page, door: str, file: Path) -> None:
    """From the card of the bundle to the door's word that it runs it."""
    show_tab(desk, "Models")
    desk.locator("#lk-bundle input[type=file]").set_input_files(file)
    compared = desk.locator("#lk-compared")
    expect(compared).to_contain_text("Nobody would have to be enrolled again.")
    compared.get_by_text(f"Model card of {VERSION}").click()
    expect(compared.locator(".lk-card-text")).to_contain_text("Not for naming people")
    choose(desk, "lk-try-place", door)
    desk.get_by_role("button", name="Try it at this door first").click()
    status = desk.locator("#lk-model-status")
    expect(status).to_contain_text(f"is sent to {door} alone. Templates made for it: 1.")
    expect(status).to_contain_text(f"{door} has tested it and runs it now.")
    expect(compared).to_be_empty()  # and nothing is left to be sent without a file
    expect(desk.get_by_role("button", name="Try it at this door first")).to_be_hidden()


def runs(desk: Page, door: str, version: str) -> None:
    """The door's card on the Doors tab names this encoder."""
    show_tab(desk, "Doors")
    expect(card(desk, door).locator(".lk-tile", has_text="Encoder")).to_contain_text(version)


def test_a_new_encoder_is_tried_at_one_door_and_then_shipped_to_all(
    desk: Page, building: Building, cellar: str, ana: None, tmp_path: Path
) -> None:
    show_tab(desk, "Models")
    running = desk.locator("#lk-model h2")
    before = running.inner_text()
    try_at(desk, cellar, another(building, tmp_path / "another.latchkey"))
    trial = desk.locator("#lk-trial")
    expect(trial).to_contain_text(f"{VERSION} runs ahead at {cellar}")
    expect(trial).to_contain_text(f"{cellar} has passed the self-test and runs it.")
    expect(trial).to_contain_text(f"since then, {cellar} has let in", timeout=COME_MS)
    expect(trial.locator(".lk-plot-wide .lk-bar-granted").first).to_be_visible(timeout=COME_MS)
    expect(trial).to_contain_text("Half of those let in were nearer than")
    expect(running).to_have_text(before)
    runs(desk, cellar, VERSION)
    runs(desk, "front", before.split()[1])

    show_tab(desk, "Models")
    desk.locator("#lk-rest").click()
    told = desk.locator("#lk-trial-status")
    expect(told).to_contain_text("is sent. Templates made for it: 0. Nobody has to be enrolled again.")
    for door in (cellar, "front"):
        expect(told).to_contain_text(f"{door} has tested it and runs it now.")
    expect(trial).to_be_empty()
    expect(running).to_contain_text(VERSION)
    for door in (cellar, "front"):
        runs(desk, door, VERSION)

    show_tab(desk, "Models")
    desk.get_by_role("button", name="Go back to it").click()
    expect(running).to_have_text(before)
    for door in (cellar, "front"):
        runs(desk, door, before.split()[1])


def test_an_encoder_on_trial_is_taken_back(
    desk: Page, building: Building, cellar: str, ana: None, tmp_path: Path
) -> None:
    show_tab(desk, "Models")
    running = desk.locator("#lk-model h2")
    before = running.inner_text()
    try_at(desk, "front", another(building, tmp_path / "another.latchkey"))
    trial = desk.locator("#lk-trial")
    expect(trial).to_contain_text("front has passed the self-test and runs it.")
    desk.reload()  # somebody comes back the day after
    show_tab(desk, "Models")
    expect(trial).to_contain_text(f"{VERSION} runs ahead at front")
    desk.get_by_role("button", name="Take it back").click()
    told = desk.locator("#lk-trial-status")
    expect(told).to_contain_text("is taken back; ")
    expect(told).to_contain_text("front has tested it and runs it now.")
    expect(trial).to_be_empty()
    expect(desk.get_by_role("button", name="Take it back")).to_be_hidden()
    expect(running).to_have_text(before)
    for door in (cellar, "front"):
        runs(desk, door, before.split()[1])
