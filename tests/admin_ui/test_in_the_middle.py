"""The broker goes, the door goes, the browser is reloaded, in the middle of what somebody does at the desk: a sentence
comes back, nothing is lost and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from admin_ui.accounts import set_password
from admin_ui.page.app import create_app
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from tests.admin_ui.open_page import OpenPage, archive, upload
from tests.admin_ui.real_door import RealDoor
from tests.brokers import Mosquitto
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]

LATER = "front will learn of it as soon as the link is back"
Photo = Callable[..., bytes]
Bundle = Callable[..., bytes]


@pytest.fixture
def store_url() -> str:
    """SQLite: what comes of a lost link does not depend on the store."""
    return ""


@pytest.fixture
def office(connected: Office, running: RealDoor) -> Office:
    """Its door runs, and it has an administrator."""
    set_password(connected.store, "admin", "correct horse battery", "test", AccountRole.ADMINISTRATOR)
    return connected


@pytest.fixture
def app(office: Office) -> FastAPI:
    return create_app(office)


@pytest.fixture
def page(app: FastAPI) -> OpenPage:
    """An administrator's browser."""
    made = OpenPage(app)
    made.loaded()
    return made


@pytest.fixture
def staff(app: FastAPI, photo: Photo) -> dict[str, Any]:
    """A ZIP of two people, uploaded."""
    return upload("staff.zip", archive({"Bo Costa.png": photo(3), "Cai Dias.png": photo(4)}))


@pytest.fixture
def another(app: FastAPI, office: Office, make_bundle: Bundle) -> dict[str, Any]:
    """Another encoder's bundle, uploaded."""
    return upload("other.latchkey", make_bundle(office._keyring.site, version="0.2.0", seed=2))


def names(office: Office) -> list[str]:
    return [person.name for person in office.people()]


def gone(office: Office, broker: Mosquitto) -> None:
    broker.stop()
    assert until(lambda: not office.link.connected)


def back(office: Office, broker: Mosquitto) -> None:
    """The broker is there again, and the door has said since then that all is well with it, its lock too."""
    broker.start()

    def well() -> bool:
        front = office.door("front")
        return front.health is not None and not front.problems and front.in_step

    assert until(well, 30)


# --- the broker is down ---


def test_a_batch_saved_without_a_broker_is_saved_once_and_known_when_it_is_back(
    page: OpenPage, office: Office, broker: Mosquitto, staff: dict[str, Any]
) -> None:
    page.press("BatchWork.read", lk_batch=staff)
    gone(office, broker)
    assert LATER in page.press("BatchWork.enrol").refusals[-1]
    page.press("BatchWork.enrol")  # a second press, for nothing seemed to happen
    assert names(office) == ["Bo Costa", "Cai Dias"]
    back(office, broker)
    assert until(lambda: (health := office.door("front").health) is not None and health.people == 2)


def test_nobody_is_let_in_late_by_an_unlock_that_could_not_be_sent(
    page: OpenPage, office: Office, broker: Mosquitto, running: RealDoor
) -> None:
    gone(office, broker)
    answer = page.press("DoorWork.unlock", lk_door_choice="front", lk_why="a courier")
    assert ["front was not asked" in told for told in answer.refusals] == [True]
    assert "" not in answer.values, "the reason stays in its field"
    back(office, broker)
    assert running.relay.times_on == 0
    assert page.press("DoorWork.unlock", lk_door_choice="front", lk_why="a courier").refusals == []
    assert until(lambda: running.relay.times_on == 1)


def test_a_lock_down_without_a_broker_holds_as_soon_as_it_is_back(
    page: OpenPage, office: Office, broker: Mosquitto
) -> None:
    gone(office, broker)
    answer = page.press("DoorWork.lock_down", lk_door_choice="front", lk_why="a fire drill")
    assert LATER in answer.refusals[-1]
    broker.start()
    assert until(lambda: office.door("front").in_step and office.door("front").locked_down, 30)
    assert page.press("DoorWork.release", lk_door_choice="front").notes[-1] == (
        "good",
        f"front has it now (list {office.door('front').generation}).",
    )


def test_a_threshold_stays_where_no_door_could_hear_of_it(page: OpenPage, office: Office, broker: Mosquitto) -> None:
    before = office.door("front").tau
    page.press("ThresholdWork.apply", lk_threshold_door="front", lk_tau=round(before + 0.1, 3))
    moved, generation = office.door("front").tau, office.door("front").generation
    assert moved != before
    gone(office, broker)
    for pressed in (
        lambda: page.press("ThresholdWork.apply", lk_threshold_door="front", lk_tau=before),
        lambda: page.press("ThresholdWork.undo", lk_threshold_door="front"),
    ):
        assert "Nothing was changed" in pressed().refusals[-1]
    assert (office.door("front").tau, office.door("front").generation) == (moved, generation)
    back(office, broker)
    page.press("ThresholdWork.undo", lk_threshold_door="front")
    assert office.door("front").tau == pytest.approx(before)


def test_the_door_s_picture_that_cannot_be_asked_for_costs_nothing_that_was_typed(
    page: OpenPage, office: Office, broker: Mosquitto
) -> None:
    gone(office, broker)
    answer = page.press("EnrolWork.from_door", lk_place="front")
    assert ["front was not asked" in told for told in answer.refusals] == [True]
    assert names(office) == []


def test_an_encoder_tried_without_a_broker_runs_at_the_door_when_it_is_back(
    page: OpenPage, office: Office, broker: Mosquitto, another: dict[str, Any]
) -> None:
    page.press("ModelsWork.read", lk_bundle=another)
    gone(office, broker)
    tried = page.press("ModelsWork.try_out", lk_bundle=another, lk_try_place="front")
    assert any(LATER in told for told in tried.refusals)
    again = page.press("ModelsWork.try_out", lk_bundle=another, lk_try_place="front")
    assert again.refusals == ["The file is no longer here. Choose it once more."]
    broker.start()
    assert until(lambda: office.door("front").model_version == "0.2.0", 30)
    assert page.press("ModelsWork.take_back").refusals == []
    assert until(lambda: office.door("front").model_version == "0.1.0", 30)


def test_doors_and_accounts_are_made_once_whatever_the_broker_does(
    page: OpenPage, office: Office, broker: Mosquitto
) -> None:
    gone(office, broker)
    assert page.press("DoorWork.pair", lk_pair="cellar").refusals == []
    assert "already a door named" in page.press("DoorWork.pair", lk_pair="cellar").refusals[-1]
    assert page.press("AccountsWork.add", lk_new_account="olga", lk_account_role="viewer").refusals == []
    told = page.press("AccountsWork.add", lk_new_account="olga", lk_account_role="viewer").refusals[-1]
    assert "There is an account olga already" in told
    revoked = page.press("DoorWork.revoke", lk_door_choice="cellar", lk_revoke_typed="cellar")
    assert any("Revoke it again later" in text for text in revoked.texts)
    assert [one.name for one in office.doors()] == ["front"]


# --- the door goes away in the middle ---


def test_a_door_that_leaves_while_a_batch_is_saved_takes_the_list_when_it_is_back(
    page: OpenPage, office: Office, running: RealDoor, staff: dict[str, Any]
) -> None:
    page.press("BatchWork.read", lk_batch=staff)
    answer = page.press("BatchWork.enrol", meanwhile=running.stop)
    assert "front is offline" in answer.refusals[-1]
    assert names(office) == ["Bo Costa", "Cai Dias"]
    running.start()
    assert until(lambda: office.door("front").in_step, 30)


def test_a_door_that_leaves_while_its_threshold_moves_leaves_it_where_it_was(
    page: OpenPage, office: Office, running: RealDoor
) -> None:
    before = office.door("front").tau

    def leave() -> None:
        running.stop()
        assert until(lambda: not office.door("front").online)

    answer = page.press(
        "ThresholdWork.apply", lk_threshold_door="front", lk_tau=round(before + 0.1, 3), meanwhile=leave
    )
    assert "Nothing was changed" in answer.refusals[-1]
    assert office.door("front").tau == before


def test_a_door_that_leaves_while_it_is_locked_down_is_locked_down_when_it_is_back(
    page: OpenPage, office: Office, running: RealDoor
) -> None:
    answer = page.press("DoorWork.lock_down", lk_door_choice="front", lk_why="", meanwhile=running.stop)
    assert "front is offline" in answer.refusals[-1]
    running.start()
    assert until(lambda: office.door("front").in_step and office.door("front").locked_down, 30)


def test_a_door_that_leaves_while_it_tests_an_encoder_runs_it_when_it_is_back(
    page: OpenPage, office: Office, running: RealDoor, another: dict[str, Any]
) -> None:
    answer = page.press("ModelsWork.try_out", lk_bundle=another, lk_try_place="front", meanwhile=running.stop)
    assert answer.refusals
    assert "front" in answer.refusals[-1]
    running.start()
    assert until(lambda: office.door("front").model_version == "0.2.0", 30)


# --- the browser is reloaded in the middle ---


def test_a_reloaded_browser_shows_what_was_under_way(
    app: FastAPI,
    page: OpenPage,
    office: Office,
    staff: dict[str, Any],
    another: dict[str, Any],
) -> None:
    page.press("BatchWork.read", lk_batch=staff)
    page.press("ModelsWork.try_out", lk_bundle=another, lk_try_place="front")
    page.press("DoorWork.pair", lk_pair="cellar")
    before = office.door("front").tau
    page.press("ThresholdWork.apply", lk_threshold_door="front", lk_tau=round(before + 0.1, 3))
    page.press("DoorWork.lock_down", lk_door_choice="front")

    again = OpenPage(app)
    shown = "".join(again.loaded())
    for what in (
        *("2 good, 0 refused", "0.2.0 runs ahead at front", "cellar waits for its pairing folder"),
        *("Undo: back to", "Locked down"),
    ):
        assert what in shown, what
    assert names(office) == []
    again.press("BatchWork.enrol")
    assert names(office) == ["Bo Costa", "Cai Dias"]


def test_a_zip_is_read_to_its_end_though_the_browser_was_reloaded(
    app: FastAPI, page: OpenPage, office: Office, staff: dict[str, Any]
) -> None:
    page.leave("BatchWork.read", lk_batch=staff)
    assert until(lambda: office.waiting_batch("admin") is not None)
    assert "2 good, 0 refused" in "".join(OpenPage(app).loaded())


def test_an_encoder_is_shipped_to_its_end_and_once_though_the_browser_was_reloaded(
    app: FastAPI, page: OpenPage, office: Office, another: dict[str, Any]
) -> None:
    page.leave("ModelsWork.ship", lk_bundle=another)
    assert until(lambda: office.door("front").model_version == "0.2.0", 30)
    generation = office.door("front").generation
    assert "0.2.0 is in force" in "".join(OpenPage(app).loaded())
    assert office.door("front").generation == generation


# --- the page's process is another one, and the browser still open ---


def test_a_browser_that_outlives_a_restart_of_the_page_goes_on(office: Office, app: FastAPI, running: RealDoor) -> None:
    OpenPage(app).loaded()
    after = OpenPage(create_app(office))  # the same browser; what Gradio knew of it is gone
    assert after.press("DoorWork.unlock", lk_door_choice="front", lk_why="a courier").refusals == []
    assert until(lambda: running.relay.times_on == 1)
    assert after.press("ThresholdWork.slide", lk_threshold_door="front", lk_tau=0.3).refusals == []
    answer = after.press("PeopleWork.save", lk_edit_name="Ada King", lk_edit_doors=["front"])
    assert "Open this person once more; nothing was changed" in answer.refusals[-1]
