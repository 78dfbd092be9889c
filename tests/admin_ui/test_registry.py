"""Papers of people: found, edited, suspended, exported; consent, and whether photos are kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from admin_ui.service import Office
from admin_ui.store import utc_now
from admin_ui.views import ComesAgain, Edited, LooksUnlike, PeopleQuery, PersonView
from firmware_config.errors import BadInput
from firmware_config.roster import Roster
from tests.admin_ui.happenings import Happenings

Photo = Callable[..., bytes]
RosterOf = Callable[[str], Roster]


@pytest.fixture
def ana(office: Office, photo: Photo) -> PersonView:
    """Agreed, and enrolled at the front."""
    person = office.enrol("Ana Almeida", photo(1), ["front"], "boss", consent=True).person
    assert person is not None
    return person


def test_people_are_found_sorted_and_filtered(office: Office, photo: Photo, ana: PersonView) -> None:
    now = utc_now()
    soon, over = now + timedelta(days=9), now - timedelta(days=1)
    office.enrol("Bo 100%", photo(2), [], "boss", confirm_duplicate=True, valid_until=soon)
    office.enrol("Cy", photo(3), [], "boss", confirm_duplicate=True, valid_until=over)

    def names(**asked: str) -> list[str]:
        return [person.name for person in office.find_people(PeopleQuery(**asked))[0]]

    assert names() == ["Ana Almeida", "Bo 100%", "Cy"]
    assert names(text="ALM") == ["Ana Almeida"]
    assert names(text="%") == ["Bo 100%"]
    assert names(order="newest") == ["Cy", "Bo 100%", "Ana Almeida"]
    assert names(order="ends first") == ["Cy", "Bo 100%", "Ana Almeida"]
    assert names(state="over") == ["Cy"]
    assert names(state="no consent") == ["Bo 100%", "Cy"]
    assert names(state="no door") == []
    office.suspend(ana.id, True, "boss")
    assert names(state="suspended") == ["Ana Almeida"]
    assert names(door="front", text="b") == ["Bo 100%"]
    assert [len(one) if isinstance(one, list) else one for one in office.find_people(PeopleQuery(limit=1))] == [1, 3]
    with pytest.raises(BadInput, match="order or state"):
        office.find_people(PeopleQuery(order="name; DROP TABLE people"))


def test_an_edit_changes_name_doors_and_days_at_once(office: Office, ana: PersonView, roster_of: RosterOf) -> None:
    office.add_door("back", "boss")
    until = utc_now() + timedelta(days=30)
    change = office.edit_person(
        ana.id, ana.revision, "boss", name="Ana A.", doors=["back"], valid_from=None, valid_until=until
    )
    assert {news.door for news in change.news} == {"front", "back"}
    assert roster_of("front").people == []
    (person,) = roster_of("back").people
    assert (person.name, person.valid_until) == ("Ana A.", until)


def test_two_who_edit_one_person_do_not_undo_each_other_unseen(office: Office, ana: PersonView) -> None:
    days = {"valid_from": None, "valid_until": None}
    office.edit_person(ana.id, ana.revision, "boss", name="Ana Maria", doors=["front"], **days)  # type: ignore[arg-type]
    with pytest.raises(Edited, match="Somebody else has changed Ana Maria"):
        office.edit_person(ana.id, ana.revision, "olga", name="Anna", doors=[], **days)  # type: ignore[arg-type]
    assert office.person(ana.id).name == "Ana Maria"


def test_suspended_people_leave_every_list_and_come_back_as_they_were(
    office: Office, ana: PersonView, roster_of: RosterOf
) -> None:
    before = roster_of("front").people
    office.suspend(ana.id, True, "boss")
    assert roster_of("front").people == []
    assert office.person(ana.id).suspended
    office.suspend(ana.id, False, "boss")
    assert roster_of("front").people == before


def far_from(office: Office, photo: bytes) -> bool:
    """Farther than the toy encoder's threshold at FMR 1e-2, which is some 0.7."""
    like = office.compare_photo(photo)[1]
    return like is not None and like.distance > 0.75


def test_a_further_photo_says_what_it_gains_and_reaches_the_door(
    office: Office, photo: Photo, ana: PersonView, roster_of: RosterOf
) -> None:
    change = office.add_photo(ana.id, photo(1), "olga")
    assert "gains little" in change.sentence
    assert len(roster_of("front").people[0].templates) == 2
    unlike = next(photo(number) for number in range(2, 41) if far_from(office, photo(number)))
    with pytest.raises(LooksUnlike, match="does not look like Ana Almeida"):
        office.add_photo(ana.id, unlike, "olga")
    assert "2 photos now" not in office.add_photo(ana.id, unlike, "olga", confirm_unlike=True).sentence
    assert office.person(ana.id).photos == 3
    for _ in range(2):
        office.add_photo(ana.id, photo(1), "olga")
    with pytest.raises(BadInput, match="5 photos already, which is the most"):
        office.add_photo(ana.id, photo(1), "olga")


def test_erasing_needs_the_name_typed_as_it_is(office: Office, ana: PersonView) -> None:
    for wrong in ("", "Ana", "yes"):
        with pytest.raises(BadInput, match="Type the name, Ana Almeida"):
            office.remove(ana.id, "boss", wrong)
    change = office.remove(ana.id, "boss", " ana  ALMEIDA")
    assert "Receipt" in change.sentence
    assert office.people() == []


def test_everything_that_is_kept_of_somebody_is_exported(office: Office, photo: Photo) -> None:
    office.keep_photos(True, "boss")
    ana = office.enrol("Ana", photo(1), [], "boss", consent=True).person
    assert ana is not None
    Happenings(office).tell(person_id=ana.id, distance=0.2)
    papers = json.loads(office.export_person(ana.id, "boss"))
    assert (papers["name"], papers["doors"], papers["consent"]["version"]) == ("Ana", ["front"], 1)
    assert "128 numbers" in papers["consent"]["text"]
    assert base64.b64decode(papers["photos"][0]["png"]) == office.portrait(ana.id)
    (template,) = papers["photos"][0]["templates"].values()
    assert len(base64.b64decode(template)) == 512
    assert [(event["door"], event["reason"], event["distance"]) for event in papers["events"]] == [
        ("front", "granted", 0.2)
    ]
    assert office.acts(1)[0].subject == ana.id, "the record names nobody"


def test_photos_are_kept_only_once_it_is_switched_on_and_erased_when_it_is_off(
    office: Office, photo: Photo, ana: PersonView, stored_bytes: Callable[[], bytes]
) -> None:
    assert not office.photo_rule()
    assert not ana.kept
    with pytest.raises(BadInput, match="No photo of this person is kept"):
        office.portrait(ana.id)
    office.keep_photos(True, "boss")
    bo = office.enrol("Bo", photo(7), [], "boss", confirm_duplicate=True).person
    assert bo is not None
    assert bo.kept
    assert office.portrait(bo.id).startswith(b"\x89PNG")
    assert "1 that were kept are erased" in office.keep_photos(False, "boss")
    assert not office.person(bo.id).kept
    assert [person.name for person in office.people()] == ["Ana Almeida", "Bo"]


def test_without_photos_another_encoder_names_who_has_to_come_again(
    office: Office, ana: PersonView, make_bundle: Callable[..., bytes], roster_of: RosterOf
) -> None:
    data = make_bundle(office._keyring.site, version="0.2.0", seed=2)
    with pytest.raises(ComesAgain, match=r"enrolled again.*Ana Almeida\. Nothing was changed"):
        office.ship_model(data, "boss")
    assert [person.name for person in roster_of("front").people] == ["Ana Almeida"]
    change = office.ship_model(data, "boss", leave_out=True)
    assert "To be enrolled again: Ana Almeida." in change.sentence
    assert roster_of("front").people == []


def test_consent_is_kept_with_the_version_that_was_read(office: Office, photo: Photo, ana: PersonView) -> None:
    assert ana.consent_at is not None
    assert ana.consent_version == 1
    assert "Version 2" in office.set_consent_text("You agree to be recognised.", "boss")
    with pytest.raises(BadInput, match="version 2 already"):
        office.set_consent_text(" You agree to be recognised. ", "boss")
    for wrong in ("  ", "x" * 5001):
        with pytest.raises(BadInput, match="1 to 5000"):
            office.set_consent_text(wrong, "boss")
    bo = office.enrol("Bo", photo(7), [], "boss", confirm_duplicate=True, consent=True).person
    assert bo is not None
    assert (office.person(ana.id).consent_version, bo.consent_version) == (1, 2)
    assert json.loads(office.export_person(ana.id, "boss"))["consent"]["text"].startswith("A photo of my face")


def test_a_face_that_is_enrolled_is_asked_about_before_anything_is_saved(
    office: Office, photo: Photo, ana: PersonView
) -> None:
    verdict, like = office.compare_photo(photo(1))
    assert verdict.ok
    assert like is not None
    assert like.same
    assert like.sentence == "This looks like Ana Almeida, distance 0.00: the same person?"
    assert verdict.landmarks is not None
    assert verdict.landmarks.shape == (5, 2)
    _, other = office.compare_photo(photo(17))
    assert other is not None
    assert not other.same
    assert office.compare_photo(b"no photo")[1] is None
