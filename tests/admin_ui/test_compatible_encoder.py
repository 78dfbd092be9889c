"""An encoder that is compatible with the one before, from the page to a real door."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from admin_ui.doors import door_view
from admin_ui.keyring import Keyring
from admin_ui.models import DoorRow
from admin_ui.page.markup import door_card
from admin_ui.presence import Presence
from admin_ui.service import Office
from firmware_config.bundle import BundleRefused
from firmware_config.compatible import CrossCalibration
from firmware_config.messages import Applied
from firmware_config.roster import Policy, Roster
from firmware_config.settings import AdminSettings
from tests.admin_ui.real_door import RealDoor
from tests.admin_ui.toys import toy_calibration, toy_onnx
from tests.brokers import Mosquitto
from tests.waiting import until

Photo = Callable[..., bytes]
OLD = sha256(toy_onnx(1)).hexdigest()
NOISE = 0.05
"""Of the new encoder: a twentieth of the weights."""
SHIFT = 0.05
"""How much further out its probes are from the old one's templates."""


def proof(old_shift: float = 0.0) -> CrossCalibration:
    """Of the toy encoder that every test's site starts with."""
    return CrossCalibration(
        templates=OLD, probes="0" * 64, old=toy_calibration(old_shift), cross=toy_calibration(SHIFT), old_tar=0.8
    )


@pytest.fixture(autouse=True)
def photos_are_kept(request: pytest.FixtureRequest) -> None:
    """So that a new encoder needs nobody to come again; before anybody is enrolled."""
    if "ada" in request.fixturenames or "office" in request.fixturenames:
        request.getfixturevalue("office").keep_photos(True, "boss")


def test_the_page_says_that_doors_go_on_with_their_lists(
    office: Office, ada: str, settings: AdminSettings, make_bundle: Callable[..., bytes]
) -> None:
    key = Keyring(settings.state).site
    plain = office.ship_model(make_bundle(key, version="0.2.0", seed=2), "boss").sentence
    assert "Nobody has to be enrolled again" in plain
    assert "goes on with the list" not in plain


def test_it_says_so_only_where_it_is_proven_for_the_encoder_in_force(
    office: Office,
    ada: str,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
    roster_of: Callable[[str], Roster],
) -> None:
    bundle = make_bundle(Keyring(settings.state).site, version="0.2.0", noise=NOISE, proof=proof())
    change = office.ship_model(bundle, "boss")
    assert "goes on with the list" in change.sentence
    # Everybody's templates are made anew all the same.
    assert roster_of("front").encoder_id != OLD
    assert [person.name for person in roster_of("front").people] == ["Ada Lovelace"]


@pytest.mark.usefixtures("nothing_changes")
def test_a_proof_by_another_calibration_than_thresholds_here_were_set_by_is_refused(
    office: Office, settings: AdminSettings, make_bundle: Callable[..., bytes]
) -> None:
    bundle = make_bundle(Keyring(settings.state).site, version="0.2.0", noise=NOISE, proof=proof(old_shift=0.01))
    with pytest.raises(BundleRefused, match="by another calibration"):
        office.ship_model(bundle, "boss")


def test_a_door_that_carries_an_older_list_is_shown_with_a_note_and_no_problem() -> None:
    row = DoorRow(name="front", generation=3, policy=Policy(tau=0.9, tau_strict=0.7).model_dump(), audit={})
    carried = Applied(generation=3, encoder_id="b" * 64, model_version="0.2.0", people=1, roster_encoder=OLD)
    for applied, notes in ((carried, 1), (carried.model_copy(update={"roster_encoder": ""}), 0)):
        view = door_view(row, 1, Presence(online=True, applied=applied), "")
        assert (len(view.notes), view.problems) == (notes, ())
        assert ("Nobody must be enrolled again" in door_card(view)) == bool(notes)


@pytest.mark.broker
def test_a_door_opens_with_its_old_list_under_the_new_encoder_until_the_new_list_comes(
    make_office: Callable[..., Office],
    photo: Photo,
    tmp_path: Path,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        office = make_office(broker.settings)
        office.keep_photos(True, "test")
        office.add_door("front", "test")
        office.start()
        assert office.link.wait_connected(20)
        door = RealDoor(settings.state / "pairings" / "front", tmp_path / "door", settings.state / "default.latchkey")
        try:
            door.start()
            daemon = door.daemon
            assert daemon is not None
            assert until(lambda: office.door("front").in_step and daemon._link.lock.alive)
            change = office.enrol("Ada", photo(1), [], "boss")
            assert office.wait_applied("front", change.news[0].generation, timeout_s=30).in_step
            before = office.threshold("front").tau

            really_send = office.link.send

            def without_lists(name: str, leaf: str, payload: bytes) -> bool:
                return leaf != "roster" and really_send(name, leaf, payload)

            with monkeypatch.context() as cut:
                cut.setattr(office.link, "send", without_lists)
                bundle = make_bundle(Keyring(settings.state).site, version="0.2.0", noise=NOISE, proof=proof())
                office.ship_model(bundle, "boss")
                assert until(lambda: bool(office.door("front").notes))
                view = office.door("front")
                assert (view.model_version, view.in_step) == ("0.2.0", False)
                active = daemon._holdings.active
                assert active.roster is not None
                assert active.roster.encoder_id == OLD
                assert active.roster.policy.tau == pytest.approx(before + SHIFT, abs=0.003)
                door.embedding = office.examine(photo(1)).embedding  # by the new encoder
                assert until(lambda: door.relay.on)
            office._desk.send(["front"])
            assert until(lambda: office.door("front").in_step)
            assert office.door("front").notes == ()
            assert daemon._holdings.active.older == ""
        finally:
            door.stop()
