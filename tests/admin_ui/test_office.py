"""The office without a broker: what is kept, what is refused, and that a refusal changes nothing."""

import io
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from admin_ui import enrol
from admin_ui.service import Office
from admin_ui.views import DoorOffline, LooksLike
from firmware_config.bundle import BundleRefused
from firmware_config.errors import BadInput, LostLink
from firmware_config.keys import SigningKey
from firmware_config.messages import Topics
from firmware_config.pairing import load_door, load_lock
from firmware_config.roster import Roster

Photo = Callable[..., bytes]


def test_enrolled_person_stands_in_the_sealed_roster_and_its_generation_rises(
    office: Office, photo: Photo, roster_of: Callable[[str], Roster]
) -> None:
    before = roster_of("front")
    change = office.enrol("Ada Lovelace", photo(1), ["front"], "boss")
    after = roster_of("front")
    assert [person.name for person in after.people] == ["Ada Lovelace"]
    assert after.generation == before.generation + 1 == change.news[0].generation
    assert change.person is not None
    assert after.people[0].id == change.person.id
    verdict = office.examine(photo(1))
    assert verdict.embedding is not None
    np.testing.assert_allclose(after.people[0].vectors()[0], verdict.embedding, atol=1e-6)


def test_with_the_broker_down_the_person_is_saved_and_the_news_say_so(office: Office, photo: Photo) -> None:
    office.start()
    change = office.enrol("Ada", photo(1), [], "boss")
    assert [person.name for person in office.people()] == ["Ada"]
    assert not change.news[0].sent
    assert "as soon as the link is back" in change.news[0].sentence
    assert "no connection to the broker" in office.link_sentence()


def test_empty_list_of_doors_means_every_door(office: Office, photo: Photo) -> None:
    office.add_door("back", "boss")
    change = office.enrol("Ada", photo(1), [], "boss")
    assert change.person is not None
    assert change.person.doors == ("back", "front")


def test_roster_holds_only_the_people_of_its_door(
    office: Office, photo: Photo, roster_of: Callable[[str], Roster]
) -> None:
    office.add_door("back", "boss")
    ada = office.enrol("Ada", photo(1), ["front"], "boss").person
    office.enrol("Bob", photo(2), ["back"], "boss")
    assert ada is not None
    assert [person.name for person in roster_of("front").people] == ["Ada"]
    assert [person.name for person in roster_of("back").people] == ["Bob"]
    change = office.set_doors(ada.id, ["back"], "boss")
    assert {news.door for news in change.news} == {"front", "back"}
    assert roster_of("front").people == []
    assert {person.name for person in roster_of("back").people} == {"Ada", "Bob"}


def test_removed_person_leaves_roster_and_disk(
    office: Office,
    photo: Photo,
    roster_of: Callable[[str], Roster],
    stored_bytes: Callable[[], bytes],
) -> None:
    person = office.enrol("Ada Unmistakable", photo(1), [], "boss").person
    assert person is not None
    assert person.id.encode() in stored_bytes()
    change = office.remove(person.id, "boss")
    assert office.people() == []
    assert roster_of("front").people == []
    assert roster_of("front").generation == change.news[0].generation
    with office.store.read() as session:
        tables = ("people", "portraits", "templates", "memberships")
        counts = [session.connection().exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in tables]
    assert counts == [0, 0, 0, 0]
    assert b"Unmistakable" not in stored_bytes()


def test_templates_and_crops_lie_sealed_on_disk(
    office: Office, photo: Photo, stored_bytes: Callable[[], bytes]
) -> None:
    office.keep_photos(True, "boss")
    person = office.enrol("Ada", photo(1), [], "boss").person
    verdict = office.examine(photo(1))
    assert person is not None
    assert verdict.embedding is not None
    assert verdict.crop is not None
    data = stored_bytes()
    assert verdict.embedding.astype("<f4").tobytes()[:16] not in data
    assert b"\x89PNG" not in data
    np.testing.assert_array_equal(enrol.crop_array(office.portrait(person.id)), verdict.crop)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize(
    ("name", "says"),
    [("", "name is missing"), ("  ", "name is missing"), ("x" * 121, "at most 120"), ("a\x00b", "printable")],
)
def test_a_name_that_cannot_be_shown_is_refused(office: Office, photo: Photo, name: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        office.enrol(name, photo(1), [], "boss")


@pytest.mark.usefixtures("nothing_changes")
def test_a_photo_that_is_no_good_is_refused_with_the_verdicts_sentence(office: Office) -> None:
    with pytest.raises(BadInput, match="not an image"):
        office.enrol("Ada", b"not a photo", [], "boss")


@pytest.mark.usefixtures("nothing_changes")
def test_a_door_that_does_not_exist_is_refused_and_the_others_are_named(office: Office, photo: Photo) -> None:
    with pytest.raises(BadInput, match="no door named 'side'; the doors are: front"):
        office.enrol("Ada", photo(1), ["front", "side"], "boss")


@pytest.mark.usefixtures("nothing_changes")
def test_dates_in_the_wrong_order_are_refused(office: Office, photo: Photo) -> None:
    now = datetime.now(timezone.utc)
    with pytest.raises(BadInput, match="last day lies before the first"):
        office.enrol("Ada", photo(1), [], "boss", valid_from=now, valid_until=now - timedelta(days=1))


class TestAdaIsEnrolled:
    @pytest.fixture(autouse=True)
    def _same_after(self, ada: str, nothing_changes: None) -> None:
        """In this order: Ada first, then the picture of everything."""

    @pytest.mark.parametrize("name", ["Ada Lovelace", "ada  LOVELACE "])
    def test_a_name_twice_is_refused_however_it_is_written(self, office: Office, photo: Photo, name: str) -> None:
        with pytest.raises(BadInput, match="already somebody named Ada Lovelace"):
            office.enrol(name, photo(2), [], "boss")

    def test_the_same_face_under_another_name_is_refused_and_says_whose(self, office: Office, photo: Photo) -> None:
        with pytest.raises(LooksLike, match="enrolled already, as Ada Lovelace") as caught:
            office.enrol("Bob", photo(1), [], "boss")
        assert caught.value.name == "Ada Lovelace"
        assert caught.value.distance < 0.01

    def test_removing_nobody_is_refused(self, office: Office) -> None:
        with pytest.raises(BadInput, match="not enrolled"):
            office.remove("0" * 32, "boss")

    def test_moving_the_threshold_of_an_offline_door_is_refused(self, office: Office) -> None:
        with pytest.raises(DoorOffline, match="front is offline, so its threshold stays at"):
            office.set_tau("front", 0.3, "boss")

    @pytest.mark.parametrize("tau", [-1.0, 0.0, 1.9, float("nan")])
    def test_a_threshold_off_the_slider_is_refused(self, office: Office, tau: float) -> None:
        with pytest.raises(BadInput, match="threshold goes from"):
            office.set_tau("front", tau, "boss")

    def test_a_door_twice_is_refused(self, office: Office) -> None:
        with pytest.raises(BadInput, match="already a door named 'front'"):
            office.add_door("front", "boss")

    @pytest.mark.parametrize("name", ["", "Front", "../front", "a/b", "x" * 64])
    def test_a_door_name_that_is_no_topic_is_refused(self, office: Office, name: str) -> None:
        with pytest.raises(BadInput, match="cannot name a site or door"):
            office.add_door(name, "boss")

    def test_a_bundle_signed_by_a_stranger_is_refused(self, office: Office, make_bundle: Callable[..., bytes]) -> None:
        with pytest.raises(BundleRefused, match="not signed by a key that is trusted"):
            office.ship_model(make_bundle(SigningKey.generate(), version="9.0.0"), "boss")


def test_a_threshold_follows_the_people_until_somebody_sets_it(
    office: Office, photo: Photo, roster_of: Callable[[str], Roster], ada: str
) -> None:
    alone = roster_of("front").policy.tau
    assert "follows the number of people" in office.follow_gallery("front", 1e-4, "boss").sentence
    assert roster_of("front").policy.tau == pytest.approx(alone, abs=1e-3), "for one person it is the default"
    person = office.enrol("Bob", photo(7), [], "boss", confirm_duplicate=True).person
    assert person is not None
    both = roster_of("front").policy.tau
    assert both < alone
    assert "follows" in office.explain_tau("front", both)
    assert "follows" not in office.explain_tau("front", both + 0.1), "while the slider is moved"
    office.remove(person.id, "boss")
    assert roster_of("front").policy.tau == pytest.approx(alone, abs=1e-3)
    with pytest.raises(BadInput, match=r"at most 0\.01, not 0\.5"):
        office.follow_gallery("front", 0.5, "boss")


def test_twins_can_be_enrolled_when_confirmed(office: Office, photo: Photo, ada: str) -> None:
    office.enrol("Ada's twin", photo(1), [], "boss", confirm_duplicate=True)
    assert [person.name for person in office.people()] == ["Ada Lovelace", "Ada's twin"]


def test_unlock_without_a_broker_says_so_at_once(office: Office) -> None:
    office.start()
    with pytest.raises(LostLink, match="broker cannot be reached"):
        office.unlock("front", "boss")
    with pytest.raises(BadInput, match="no door named"):
        office.unlock("side", "boss")


def test_pairing_folders_hold_what_each_side_needs_and_no_more(office: Office) -> None:
    folder = office.add_door("back", "boss")
    door, lock = load_door(folder / "door"), load_lock(folder / "lock")
    assert door.topics == lock.topics == Topics("home", "back")
    assert door.lock_key.mac(b"x") == lock.lock_key.mac(b"x")
    assert not (folder / "lock" / "door.key").exists()
    assert all((path.stat().st_mode & 0o077) == 0 for path in folder.rglob("*.key"))


def test_a_pairing_folder_is_given_once(office: Office) -> None:
    office.add_door("back", "boss")
    assert office.waiting_pairings() == ["back", "front"]
    with zipfile.ZipFile(io.BytesIO(office.fetch_pairing("back", "boss"))) as archive:
        assert {"door/door.key", "door/pairing.toml", "lock/lock.key"} <= set(archive.namelist())
    assert office.waiting_pairings() == ["front"]
    with pytest.raises(BadInput, match="fetched already"):
        office.fetch_pairing("back", "boss")
    assert not (office.settings.state / "pairings" / "back").exists()
    office.renew_door("back", "boss")
    assert office.fetch_pairing("back", "boss")
    with pytest.raises(BadInput, match="cannot name a site or door"):
        office.fetch_pairing("../keys", "boss")
    assert [act.what for act in office.acts(3)] == ["fetch_pairing", "renew_door", "fetch_pairing"]


def test_a_new_page_process_finds_everything_again(
    office: Office, make_office: Callable[..., Office], photo: Photo, ada: str
) -> None:
    again = make_office()
    assert [person.id for person in again.people()] == [ada]
    assert again.session_key() == office.session_key()
    assert again.door("front").generation == office.door("front").generation
    with pytest.raises(LooksLike):
        again.enrol("Bob", photo(1), [], "boss")


def test_a_look_knows_everybody_of_now(office: Office, photo: Photo) -> None:
    """What was opened for the last look serves the next one only as long as nothing was done."""

    def alike() -> str:
        return found.name if (found := office.compare_photo(photo(1))[1]) is not None else ""

    assert alike() == ""
    ana = office.enrol("Ana", photo(1), [], "boss").person
    assert ana is not None
    assert (alike(), alike()) == ("Ana", "Ana")
    office.remove(ana.id, "boss")
    assert alike() == ""
    office.enrol("Bo", photo(1), [], "boss")
    assert alike() == "Bo"
