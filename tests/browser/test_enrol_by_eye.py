"""What somebody who enrols sees first: the live webcam with the face marked, and the door's best picture."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Building
from tests.browser.hands import LONG_MS, program, show_tab, type_into

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]

DRAWN = """() => {
  const canvas = document.querySelector('#lk-photo canvas.lk-live');
  if (!canvas || !canvas.width) return null;
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let drawn = 0;
  for (let at = 3; at < pixels.length; at += 4) drawn += pixels[at] > 128;
  const video = document.querySelector('#lk-photo video').getBoundingClientRect();
  const over = canvas.getBoundingClientRect();
  const apart = Math.abs(video.left - over.left) + Math.abs(video.top - over.top);
  return { drawn, points: canvas.dataset.points, apart };
}"""


def test_box_and_points_lie_over_the_live_video(desk: Page) -> None:
    desk.get_by_role("tab", name="Enrol").click()
    desk.get_by_text("Click to Access Webcam").click()
    told = desk.locator("#lk-photo .lk-live-told")
    expect(told).to_have_text("Good to enrol: take the photo.")
    desk.wait_for_function(f"({DRAWN})()?.points === '5'", timeout=LONG_MS)
    found = desk.evaluate(DRAWN)
    assert found["drawn"] > 500  # a box of three pixels' breadth and five points
    assert found["apart"] < 2
    expect(desk.locator("#lk-verdict")).to_be_empty()  # no photo was taken, and none judged


def test_the_door_s_best_picture_waits_for_somebody_to_approve_it(desk: Page) -> None:
    desk.get_by_role("tab", name="Doors").click()
    expect(desk.locator("#lk-door-state")).to_contain_text("Seeing")
    desk.get_by_role("tab", name="Enrol").click()
    desk.locator("#lk-from-door").click()
    status = desk.locator("#lk-enrol-status")
    expect(status).to_contain_text("the best picture that front has of the last three seconds")
    expect(desk.locator("#lk-verdict .lk-overlay circle")).to_have_count(5)
    expect(status).to_contain_text("Enrol only if it is the right person")  # and the verdict has not swept it away


def test_whoever_stands_at_the_door_is_enrolled_from_its_picture(desk: Page, building: Building) -> None:
    show_tab(desk, "Doors")
    expect(desk.locator("#lk-door-state")).to_contain_text("Seeing")
    show_tab(desk, "Enrol")
    desk.locator("#lk-from-door").click()
    expect(desk.locator("#lk-verdict .lk-overlay circle")).to_have_count(5)
    expect(desk.locator("#lk-photo .image-frame")).to_have_count(1)
    type_into(desk, "lk-name", "Ana Almeida")
    desk.get_by_label("They have read this text").check()
    desk.get_by_role("button", name="Enrol", exact=True).click()
    expect(desk.locator("#lk-enrol-status")).to_contain_text("front knows Ana Almeida now")
    expect(desk.locator("#lk-photo .image-frame")).to_have_count(0)
    expect(desk.locator("#lk-verdict")).to_be_empty()
    client = program(desk, building)
    [ana] = client.predict(api_name="/people")["people"]
    client.predict(ana["id"], api_name="/remove")
    client.close()
