"""A threshold's evidence: intervals, the nearest pair, named stops, and thirty days replayed."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from admin_ui import evidence, tune
from admin_ui.enrol import Known
from admin_ui.evidence import expected, nearest_pair, stops
from admin_ui.page.markup_threshold import chance
from admin_ui.service import Office
from admin_ui.store import utc_now
from admin_ui.views import DoorOffline
from firmware_config.calibration import fmr_for_gallery
from firmware_config.errors import BadInput
from firmware_config.face import distance
from tests.admin_ui.happenings import Happenings
from tests.admin_ui.toys import toy_calibration
from tests.waiting import until

CALIBRATION = toy_calibration()


@pytest.mark.parametrize("tau", np.linspace(0.05, 2.0, 14))
def test_every_interval_holds_what_was_measured(tau: float) -> None:
    low, high = tune.fmr_interval(CALIBRATION, float(tau))
    assert 0.0 <= low <= CALIBRATION.fmr_at(float(tau)) <= high <= 1.0
    low, high = tune.fnmr_interval(CALIBRATION, float(tau))
    assert 0.0 <= low <= CALIBRATION.fnmr_at(float(tau)) <= high <= 1.0


def test_the_interval_at_an_operating_point_is_that_of_its_threshold() -> None:
    # tau is known to 0.02 either way, so its rate is that of the thresholds 0.02 beside it.
    low, high = tune.fmr_interval(CALIBRATION, 0.25)
    assert low == pytest.approx(10 ** np.interp(0.23, [0.20, 0.25], [-5, -4]), rel=1e-6)
    assert high == pytest.approx(10 ** np.interp(0.27, [0.25, 0.45], [-4, -3]), rel=1e-6)


@pytest.mark.parametrize("templates", [1, 20, 1000])
def test_strangers_expected_at_a_gallerys_own_threshold_are_what_was_asked_for(templates: int) -> None:
    tau = tune.tau_for(CALIBRATION, fmr_for_gallery(1e-3, templates))
    means = expected(CALIBRATION, tau, templates)
    if fmr_for_gallery(1e-3, templates) >= 1e-6:
        assert means.strangers == pytest.approx(10.0, rel=0.05)  # of 10,000, one in a thousand
    assert means.strangers_between[0] <= means.strangers <= means.strangers_between[1]
    assert means.members_between[0] <= means.members <= means.members_between[1]


def test_nobody_enrolled_lets_no_stranger_in() -> None:
    assert expected(CALIBRATION, 0.3, 0).strangers == 0.0


def test_stops_grow_stricter_with_their_names_and_with_the_people() -> None:
    few, many = stops(CALIBRATION, 1), stops(CALIBRATION, 50)
    assert [stop.name for stop in few] == ["relaxed", "balanced", "strict"]
    assert few[0].tau > few[1].tau > few[2].tau
    assert all(one.tau < other.tau for one, other in zip(many, few, strict=True))
    for stop in few:
        assert CALIBRATION.fmr_at(stop.tau) <= stop.fpir * 1.001
        assert stop.chance == pytest.approx(CALIBRATION.fmr_at(stop.tau))


def test_a_stop_says_the_chance_at_its_own_place_of_the_slider() -> None:
    """It is rounded down to a step of the slider, so rarer than its name, and for all people together."""
    balanced = stops(CALIBRATION, 50)[1]
    assert balanced.chance == pytest.approx(1 - (1 - CALIBRATION.fmr_at(balanced.tau)) ** 50, rel=1e-6)
    assert balanced.chance < balanced.fpir


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.0, "practically never"), (1e-4, "1 in 10,000"), (9.7e-5, "1 in 10,000"), (1.3e-4, "1 in 7,700"),
     (8.74e-6, "1 in 110,000"), (0.03, "1 in 33"), (0.7, "1 in 1")],
)  # fmt: skip
def test_a_chance_has_two_significant_digits(rate: float, words: str) -> None:
    assert chance(rate) == words


def test_a_stop_that_is_stricter_than_anything_measured_says_so() -> None:
    assert [stop.limited for stop in stops(CALIBRATION, 1000)] == [False, True, True]


def test_the_nearest_pair_is_that_of_a_brute_force_search() -> None:
    rows = np.random.default_rng(3).normal(size=(60, 128)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    # Two photos each: a person's own are nearer than any pair, and do not count.
    rows[1::2] = rows[::2]
    here = [Known(str(at // 2), f"P{at // 2:02}", row) for at, row in enumerate(rows)]
    pair = nearest_pair(here)
    assert pair is not None
    best = min(
        (float(distance(one.vector, other.vector)), *sorted((one.name, other.name)))
        for one, other in itertools.combinations(here, 2)
        if one.person_id != other.person_id
    )
    assert (pair.one, pair.other) == best[1:]
    assert pair.distance == pytest.approx(best[0], abs=1e-5)
    assert nearest_pair(here[:2]) is None
    assert nearest_pair([]) is None


@pytest.fixture
def visits(office: Office) -> Happenings:
    """Three let in, three refused; beside them what no threshold changes."""
    told = Happenings(office)
    for distance_ in (0.10, 0.15, 0.24):
        told.tell(person="Ana", distance=distance_)
    for distance_, runner_up in ((0.30, None), (0.31, 0.32), (0.60, 0.7)):
        told.tell("unknown_face", distance=distance_, runner_up=runner_up)
    told.tell("too_dark")
    told.tell("not_valid_now", person="Bo", distance=0.05)
    told.tell(person="Ana", distance=0.24, at=utc_now() - timedelta(days=31))
    return told


def test_thirty_days_replayed_say_who_would_have_come_out_otherwise(office: Office, visits: Happenings) -> None:
    same = office.replay("front", 0.25)
    assert (same.visits, same.refused_count, same.admitted_count) == (6, 0, 0)
    stricter = office.replay("front", 0.12)
    assert [event.distance for event in stricter.refused] == [0.24, 0.15]
    assert stricter.admitted_count == 0
    looser = office.replay("front", 0.40)
    assert looser.refused_count == 0
    assert [event.distance for event in looser.admitted] == [0.30], "two who are too close to each other stay out"
    with pytest.raises(BadInput, match="no door named"):
        office.replay("cellar", 0.3)


def test_everything_stands_in_one_view(office: Office, visits: Happenings, photo: Callable[..., bytes]) -> None:
    assert office.evidence("front").pair is None
    office.enrol("Ana", photo(1), [], "boss")
    office.enrol("Bo", photo(7), [], "boss", confirm_duplicate=True)
    found = office.evidence("front")
    assert (found.people, found.templates, found.visits) == (2, 2, 6)
    assert found.pair is not None
    assert (found.pair.one, found.pair.other) == ("Ana", "Bo")
    assert sum(granted for _, granted, _ in found.view.visits) == 3
    assert sum(denied for _, _, denied in found.view.visits) == 3
    assert len(found.view.fmr_band) == len(found.view.taus)
    assert found.undo is None
    assert found.view.tau == office.door("front").tau


def test_a_slider_never_waits_for_the_visits_to_be_read_anew(office: Office, visits: Happenings) -> None:
    assert office.replay("front", 0.25).visits == 6
    visits.tell(person="Ana", distance=0.2)
    assert office.replay("front", 0.25).visits == 6, "they were read a moment ago"
    held = office._remembered.visits["front"]
    with office._remembered.lock:
        old = held.read_at - 1.5 * evidence.VISITS_SECONDS
        office._remembered.visits["front"] = dataclasses.replace(held, read_at=old)
    assert office.replay("front", 0.25).visits == 6, "those of before, while the new ones are read"
    assert until(lambda: office.replay("front", 0.25).visits == 7, 10)
    visits.tell(person="Ana", distance=0.2)
    with office._remembered.lock:
        office._remembered.visits["front"] = dataclasses.replace(held, read_at=old - evidence.VISITS_SECONDS)
    assert office.replay("front", 0.25).visits == 8, "after a pause the first look reads"


def test_there_is_nothing_to_undo_on_a_new_door(office: Office) -> None:
    with pytest.raises(DoorOffline, match="offline"):
        office.undo_tau("front", "boss")
