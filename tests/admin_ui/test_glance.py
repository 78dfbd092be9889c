"""The webcam is looked at while it is on: what is seen, by whom, and how often."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from admin_ui.accounts import set_password
from admin_ui.page.glance import AT_ONCE, EVERY_S, MOST_BYTES, Turnstile, add_glance
from admin_ui.page.guard import Guard
from admin_ui.page.login import Session
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from tests.admin_ui.toys import png

Photo = Callable[..., bytes]


def smaller(photo: bytes, factor: float) -> bytes:
    image = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    shrunk = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return png(np.asarray(shrunk, dtype=np.uint8))


def test_the_face_is_told_with_its_five_points_inside_its_box(office: Office, photo: Photo) -> None:
    found = office.glance(photo(31))
    assert (found.good, found.sentence) == (True, "Good to enrol: take the photo.")
    assert found.box is not None
    x, y, width, height = found.box
    assert found.landmarks.shape == (5, 2)
    assert ((found.landmarks >= (x, y)) & (found.landmarks <= (x + width, y + height))).all()
    assert x + width <= found.width
    assert office.people() == []


def test_nobody_two_people_and_a_dark_room_are_told_by_what_to_do(office: Office, photo: Photo) -> None:
    image: ImageArray = np.asarray(cv2.imdecode(np.frombuffer(photo(31), np.uint8), cv2.IMREAD_COLOR), np.uint8)
    assert "No face" in office.glance(png(np.full((240, 320, 3), 128, np.uint8))).sentence
    assert "more than one face" in office.glance(png(np.hstack([image, image]))).sentence
    assert "Too dark" in office.glance(png((image * 0.05).astype(np.uint8))).sentence
    dark = office.glance(png((image * 0.17).astype(np.uint8)))
    assert (dark.good, dark.sentence, len(dark.landmarks)) == (False, "Too dark. Turn towards a window or a lamp.", 5)


def test_a_face_that_is_small_in_the_small_picture_alone_is_not_called_so(office: Office, photo: Photo) -> None:
    little = smaller(photo(31), 0.2)
    width = office.glance(little).width
    assert office.glance(little).sentence == "Too far away. Come closer."
    assert office.glance(little, full_width=4 * width).good


def test_what_is_no_picture_is_refused_with_a_sentence(office: Office) -> None:
    with pytest.raises(BadInput, match="not an image"):
        office.glance(b"no picture")


def test_one_account_comes_seldom_and_all_together_not_many_at_once() -> None:
    gate = Turnstile()
    assert gate.enter("ana", 10.0)
    assert not gate.enter("ana", 10.0 + EVERY_S / 2)
    others = [f"bo{number}" for number in range(AT_ONCE)]
    assert [gate.enter(name, 10.0) for name in others] == [True] * (AT_ONCE - 1) + [False]
    gate.leave()
    assert gate.enter("ana", 10.0 + EVERY_S)


class Desk:
    """The endpoint behind its guard; `account`: who is logged in, "" for a stranger."""

    def __init__(self, office: Office) -> None:
        self.account = "olga"
        app = FastAPI()
        app.add_middleware(Guard, read_session=lambda _: Session(self.account, "x") if self.account else None)
        add_glance(app, office)
        self.client = TestClient(app)


@pytest.fixture
def desk(office: Office, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """olga is an operator, vera a viewer; nobody has to wait between two pictures."""
    set_password(office.store, "olga", "correct horse battery", "test", AccountRole.OPERATOR)
    set_password(office.store, "vera", "correct horse battery", "test", AccountRole.VIEWER)
    monkeypatch.setattr("admin_ui.page.glance.EVERY_S", 0.0)
    return Desk(office)


def test_the_page_is_answered_with_plain_numbers(desk: Desk, photo: Photo) -> None:
    answer = desk.client.post("/glance?of=1280", content=photo(31))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["good"], len(told["box"]), len(told["landmarks"])) == (True, 4, 5)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("account", "content", "headers", "status", "says"),
    [
        ("", b"x", {}, 401, "Log in again"),
        ("vera", b"x", {}, 403, "operator"),
        ("olga", b"x", {"Origin": "https://elsewhere.example"}, 403, "another site"),
        ("olga", b"x", {"Sec-Fetch-Site": "cross-site"}, 403, "another site"),
        ("olga", b"", {}, 400, "no photo"),
        ("olga", b"<script>alert(1)</script>", {}, 400, "not an image"),
        ("olga", bytes(MOST_BYTES + 1), {}, 413, "256 kB"),
    ],
)
def test_strangers_viewers_other_sites_and_rubbish_get_a_sentence(
    desk: Desk, account: str, content: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    desk.account = account
    answer = desk.client.post("/glance", content=content, headers=headers)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


def test_whoever_sends_too_quickly_is_told_to_wait(desk: Desk, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin_ui.page.glance.EVERY_S", 60.0)
    assert desk.client.post("/glance", content=photo(31)).status_code == 200
    answer = desk.client.post("/glance?of=9" + "9" * 5000, content=photo(31))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
