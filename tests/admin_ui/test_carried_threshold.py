"""The Threshold tab of a door that runs a new encoder with the list of the one before: its distances are of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from admin_ui.keyring import Keyring
from admin_ui.page.markup_threshold import numbers, source
from admin_ui.scale import Scale
from admin_ui.service import Office
from firmware_config.roster import Policy
from firmware_config.settings import AdminSettings
from tests.admin_ui.happenings import Happenings
from tests.admin_ui.real_door import RealDoor
from tests.admin_ui.test_compatible_encoder import NOISE, OLD, SHIFT, proof
from tests.admin_ui.toys import toy_calibration
from tests.brokers import Mosquitto
from tests.waiting import until

Photo = Callable[..., bytes]
ACROSS = toy_calibration(SHIFT)
POLICY = Policy(tau=0.25, tau_strict=0.15)


@pytest.mark.parametrize("tau", np.linspace(0.1, 0.68, 12))
def test_a_threshold_asked_for_at_the_door_is_what_the_list_makes_of_it(tau: float) -> None:
    scale = Scale(ACROSS, OLD, proof=proof(), templates=1)
    at_door = scale.at_door(scale.in_list(POLICY, float(tau))).tau
    assert at_door <= tau + 1e-9
    # Where a lower threshold is as rarely wrong, no list asks for one in between.
    assert at_door == pytest.approx(tau, abs=1e-3) or ACROSS.fmr_at(at_door + 1e-3) == ACROSS.fmr_at(float(tau))


def test_without_a_carried_list_a_threshold_is_the_lists_own() -> None:
    scale = Scale(toy_calibration(), OLD)
    assert (scale.at_door(POLICY), scale.in_list(POLICY, 0.3).tau) == (POLICY, 0.3)


@pytest.fixture
def office(make_office: Callable[..., Office], tmp_path: Path) -> Iterator[Office]:
    """Connected, with the door `front`; no photo is kept."""
    with Mosquitto(tmp_path / "broker") as broker:
        made = make_office(broker.settings)
        made.add_door("front", "test")
        made.start()
        assert made.link.wait_connected(20)
        yield made
        made.stop()


@pytest.fixture
def door(office: Office, tmp_path: Path, settings: AdminSettings) -> Iterator[RealDoor]:
    made = RealDoor(settings.state / "pairings" / "front", tmp_path / "door", settings.state / "default.latchkey")
    made.start()
    assert until(lambda: office.door("front").in_step)
    yield made
    made.stop()


def tau_at(door: RealDoor) -> float:
    """The threshold by which the door judges."""
    assert door.daemon is not None
    roster = door.daemon._holdings.active.roster
    assert roster is not None
    return roster.policy.tau


@pytest.mark.broker
def test_the_threshold_tab_draws_what_the_door_really_runs(
    office: Office, door: RealDoor, photo: Photo, settings: AdminSettings, make_bundle: Callable[..., bytes]
) -> None:
    told = Happenings(office)
    office.enrol("Ada", photo(1), [], "boss")
    office.enrol("Bo", photo(2), [], "boss")
    told.tell(person="Ada", distance=0.1)
    before = office.evidence("front")
    assert (before.visits, before.since, before.carried_by) == (1, None, "")
    change = office.ship_model(make_bundle(Keyring(settings.state).site, "0.2.0", noise=NOISE, proof=proof()), "boss")
    assert "go on with what they have" in change.sentence
    assert office.wait_model("front", office.wanted_model("front"), 20)
    assert until(lambda: office.door("front").in_step)

    told.tell(person="Ada", distance=0.15)
    found = office.evidence("front")
    assert found.view.points == tuple(ACROSS.operating_points)
    assert found.view.tau == pytest.approx(tau_at(door))
    assert found.view.tau == pytest.approx(before.view.tau + SHIFT, abs=0.003)
    assert found.view.tau == office.threshold("front").tau == office.door("front").tau
    assert (found.visits, found.carried_by) == (1, "toy 0.2.0"), "the older encoder's visit is on another scale"
    assert office.replay("front", found.view.tau).visits == 1
    assert "The door runs toy 0.2.0 with the list of the encoder before it." in source(found)
    assert "is left out" in source(found)
    assert office.expected(0.6, 2, "front").strangers < office.expected(0.6, 2).strangers
    # Two templates are compared by the encoder that made both.
    assert found.pair_tau == before.view.tau
    assert "Ada / Bo" in numbers(found, office.expected(found.view.tau, 2, "front"))

    wanted = round(found.view.low + 0.02, 3)
    change = office.set_tau("front", wanted, "boss")
    assert f"is {wanted:.3f}" in change.sentence
    assert until(lambda: office.door("front").in_step)
    assert tau_at(door) == pytest.approx(wanted, abs=5e-4)
    assert office.evidence("front").undo == pytest.approx(found.view.tau)
    office.undo_tau("front", "boss")
    assert until(lambda: office.door("front").in_step)
    assert tau_at(door) == pytest.approx(found.view.tau)

    office.take_back("boss")
    assert office.wait_model("front", OLD, 20)
    assert until(lambda: office.door("front").in_step)
    again = office.evidence("front")
    assert again.view.points == before.view.points
    assert (again.view.tau, again.carried_by) == (pytest.approx(tau_at(door)), "")
    assert again.visits == 0, "those of the trial are on another scale too"
