"""A new encoder at one door first: the others stay as they are, and then all follow, or that one goes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from admin_ui.keyring import Keyring
from admin_ui.models import EventRow
from admin_ui.page.markup_models import compared, making, trial
from admin_ui.service import Office
from admin_ui.store import utc_now
from admin_ui.views import ComesAgain
from firmware_config.errors import BadInput
from firmware_config.roster import Roster
from firmware_config.settings import AdminSettings
from tests.admin_ui.real_door import RealDoor
from tests.admin_ui.test_compatible_encoder import NOISE, OLD, SHIFT, proof
from tests.brokers import Mosquitto
from tests.waiting import until

Photo = Callable[..., bytes]
RosterOf = Callable[[str], Roster]
Bundle = Callable[..., bytes]


@pytest.fixture
def bundle(settings: AdminSettings, make_bundle: Callable[..., bytes]) -> Bundle:
    """bundle(**changes): version 0.2.0 of another encoder, whose distances are 0.2 larger."""

    def make(**changes: object) -> bytes:
        return make_bundle(Keyring(settings.state).site, **{"version": "0.2.0", "seed": 2, "shift": 0.2, **changes})

    return make


@pytest.fixture
def two_doors(office: Office) -> Office:
    """`front` and `cellar`; photos are kept."""
    office.add_door("cellar", "test")
    office.keep_photos(True, "test")
    return office


def taus(roster_of: RosterOf) -> dict[str, float]:
    return {door: roster_of(door).policy.tau for door in ("front", "cellar")}


def test_one_door_tries_it_and_the_others_and_the_page_stay_with_the_one_in_force(
    two_doors: Office, photo: Photo, bundle: Bundle, roster_of: RosterOf
) -> None:
    two_doors.enrol("Ada", photo(1), [], "boss")
    before, cellar = taus(roster_of), roster_of("cellar")
    far: list[tuple[int, int]] = []
    change = two_doors.try_model(bundle(), "front", "boss", progress=lambda done, of: far.append((done, of)))
    assert "to front alone. Templates made for it: 1." in change.sentence
    assert [news.door for news in change.news] == ["front"]
    assert far[0] == (0, 1)
    front = roster_of("front")
    assert front.encoder_id != OLD
    assert [person.name for person in front.people] == ["Ada"]
    assert front.policy.tau == pytest.approx(before["front"] + 0.2, abs=0.003)
    assert roster_of("cellar") == cellar
    assert two_doors.model_in_force().version == "0.1.0"
    # Its threshold is shown, and can be moved, on the scale of its own encoder.
    assert two_doors.evidence("front").view.tau == pytest.approx(front.policy.tau)
    assert two_doors.evidence("front").templates == 1


def test_whoever_is_enrolled_meanwhile_is_known_at_both(
    two_doors: Office, photo: Photo, bundle: Bundle, roster_of: RosterOf
) -> None:
    two_doors.try_model(bundle(), "front", "boss")
    two_doors.keep_photos(False, "boss")
    ada = two_doors.enrol("Ada", photo(1), [], "boss").person
    assert ada is not None
    for door in ("front", "cellar"):
        assert [(person.name, len(person.templates)) for person in roster_of(door).people] == [("Ada", 1)]
    two_doors.add_photo(ada.id, photo(1, 2), "boss", confirm_unlike=True)
    assert [len(roster_of(door).people[0].templates) for door in ("front", "cellar")] == [2, 2]


def test_then_all_doors_follow(two_doors: Office, photo: Photo, bundle: Bundle, roster_of: RosterOf) -> None:
    two_doors.enrol("Ada", photo(1), [], "boss")
    before = taus(roster_of)
    two_doors.try_model(bundle(), "front", "boss")
    tried = roster_of("front").policy.tau
    change = two_doors.ship_rest("boss")
    assert {news.door for news in change.news} == {"front", "cellar"}
    assert roster_of("front").encoder_id == roster_of("cellar").encoder_id != OLD
    assert roster_of("front").policy.tau == tried  # moved once, not twice
    assert roster_of("cellar").policy.tau == pytest.approx(before["cellar"] + 0.2, abs=0.003)
    assert (two_doors.model_in_force().version, two_doors.trial()) == ("0.2.0", None)
    with pytest.raises(BadInput, match="runs ahead"):
        two_doors.ship_rest("boss")


def test_or_it_goes_back_with_the_threshold_that_it_had_and_the_word_that_it_may(
    two_doors: Office, photo: Photo, bundle: Bundle, roster_of: RosterOf
) -> None:
    two_doors.enrol("Ada", photo(1), [], "boss")
    before = taus(roster_of)
    two_doors.try_model(bundle(), "front", "boss")
    two_doors.lock_down("front", "boss", "meanwhile")
    change = two_doors.take_back("boss")
    assert "0.1.0 runs at all doors" in change.sentence
    back = roster_of("front")
    assert (back.encoder_id, back.rollback_to) == (OLD, OLD)
    assert taus(roster_of) == before
    assert back.policy.locked_down  # what was changed meanwhile stays
    assert two_doors.trial() is None
    with pytest.raises(BadInput, match="runs ahead"):
        two_doors.take_back("boss")


def test_a_second_one_waits_until_the_first_is_decided(two_doors: Office, bundle: Bundle) -> None:
    two_doors.try_model(bundle(), "front", "boss")
    for deed in (lambda data: two_doors.try_model(data, "cellar", "boss"), lambda d: two_doors.ship_model(d, "boss")):
        with pytest.raises(BadInput, match=r"toy 0.2.0 runs at front ahead.*take it back first"):
            deed(bundle(seed=3, version="0.3.0"))
    assert two_doors.models()[0].version == "0.1.0"


@pytest.mark.usefixtures("nothing_changes")
def test_what_cannot_be_tried_is_refused_with_a_sentence(office: Office, photo: Photo, bundle: Bundle) -> None:
    with pytest.raises(BadInput, match="no door named 'attic'"):
        office.try_model(bundle(), "attic", "boss")
    with pytest.raises(BadInput, match="the encoder in force"):
        office.try_model(bundle(seed=1), "front", "boss")
    with pytest.raises(BadInput):
        office.try_model(b"PK\x03\x04 and nothing else", "front", "boss")


def test_people_without_kept_photo_are_named_before_anything_is_sent(office: Office, ada: str, bundle: Bundle) -> None:
    with pytest.raises(ComesAgain, match="Ada Lovelace"):
        office.try_model(bundle(), "front", "boss")
    assert office.trial() is None


def test_a_compatible_one_needs_nobody_to_come_again_even_without_photos(
    office: Office, ada: str, photo: Photo, bundle: Bundle, roster_of: RosterOf
) -> None:
    before = roster_of("front")
    data = bundle(seed=1, shift=SHIFT, noise=NOISE, proof=proof())
    change = office.ship_model(data, "boss")
    assert "Nobody has to be enrolled again" in change.sentence
    assert "1 people of whom no photo is kept go on with what they have" in change.sentence
    after = roster_of("front")
    # The door carries this list across by the bundle's own proof; its threshold is not touched here.
    assert (after.encoder_id, after.people, after.policy) == (OLD, before.people, before.policy)
    found = office.trial()
    assert found is not None
    assert (found.carried, found.everywhere, found.waiting) == (True, True, ("Ada Lovelace",))
    assert found.doors[0].plot.tau == pytest.approx(before.policy.tau + SHIFT, abs=0.003)
    assert "Nobody must be enrolled again" in trial(found)
    # Who comes later has numbers of both, and once everybody has, it can be put in force.
    office.enrol("Bo", photo(2), [], "boss")
    office.remove(ada, "boss")
    now = office.trial()
    assert now is not None
    assert now.waiting == ()
    office.ship_rest("boss")
    assert (office.trial(), office.model_in_force().version) == (None, "0.2.0")
    assert [person.name for person in roster_of("front").people] == ["Bo"]


def test_the_page_says_of_a_compatible_one_who_goes_on_with_what(
    office: Office, ada: str, bundle: Bundle, settings: AdminSettings
) -> None:
    file = settings.state / "new.latchkey"
    file.write_bytes(bundle(seed=1, noise=NOISE, proof=proof()))
    found = office.read_model(file)
    assert (found.again, found.kept) == ((), ("Ada Lovelace",))
    page = compared(office.model_in_force(), found)
    assert "go on with theirs: Ada Lovelace" in page
    assert "Only 50 people calibrated this encoder" in page


def test_its_distances_since_then_lie_over_its_calibration(two_doors: Office, bundle: Bundle) -> None:
    two_doors.try_model(bundle(), "front", "boss")
    now = utc_now()
    seen = [(0.31, "granted", now), (0.35, "granted", now), (1.1, "denied", now), (0.2, "granted", now - timedelta(1))]
    with two_doors.store.write() as session:
        for number, (distance, outcome, at) in enumerate(seen):
            reason = "granted" if outcome == "granted" else "unknown_face"
            row = EventRow(door="front", id=str(number), at=at + timedelta(seconds=1), outcome=outcome, reason=reason)
            row.person_id = row.person = row.audit_hash = ""
            row.distance, row.audit_seq, row.detail = distance, number, {}
            session.add(row)
    found = two_doors.trial()
    assert found is not None
    [door] = found.doors
    assert (door.let_in, door.turned_away, door.median) == (2, 1, pytest.approx(0.33))
    assert sum(granted for _, granted, _ in door.plot.visits) == 2  # yesterday's was another encoder's
    shown = trial(found)
    assert "front has let in 2 and refused 1." in shown
    assert shown.count('class="lk-bar-granted"') >= 2
    assert "has not said yet" in shown


def test_the_bar_shows_how_far_the_templates_are() -> None:
    assert "progressbar" not in making(0, 0)
    assert ('aria-valuenow="25"' in making(32, 128), "32 of 128" in making(32, 128)) == (True, True)


@pytest.mark.broker
def test_a_real_door_tries_it_passes_its_self_test_and_goes_back(
    make_office: Callable[..., Office], photo: Photo, bundle: Bundle, tmp_path: Path, settings: AdminSettings
) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        office = make_office(broker.settings)
        office.add_door("front", "test")
        office.add_door("cellar", "test")
        office.keep_photos(True, "test")
        office.start()
        assert office.link.wait_connected(20)
        door = RealDoor(settings.state / "pairings" / "front", tmp_path / "door", settings.state / "default.latchkey")
        try:
            door.start()
            assert until(lambda: office.door("front").in_step)
            office.enrol("Ada", photo(1), [], "boss")
            change = office.try_model(bundle(), "front", "boss")
            assert office.wait_model("front", office.wanted_model("front"), 20)
            assert until(lambda: office.door("front").in_step)
            found = office.trial()
            assert found is not None
            assert [(one.name, one.passed, one.refused) for one in found.doors] == [("front", True, "")]
            assert [news.door for news in change.news] == ["front"]
            office.take_back("boss")
            assert office.wanted_model("front") == OLD
            assert office.wait_model("front", OLD, 20)
            assert until(lambda: office.door("front").in_step)
            assert (office.door("front").model_version, office.door("front").refused) == ("0.1.0", "")
        finally:
            door.stop()
