"""A new encoder: everybody moves to it, or nobody; the way back needs the administrator's word."""

from collections.abc import Callable
from datetime import datetime, timezone

import numpy as np
import pytest

from admin_ui.keyring import Keyring
from admin_ui.service import Office
from admin_ui.shelf import newest
from firmware_config.bundle import BundleRefused
from firmware_config.roster import Roster
from firmware_config.settings import AdminSettings

Photo = Callable[..., bytes]


@pytest.fixture(autouse=True)
def _photos_are_kept(office: Office) -> None:
    office.keep_photos(True, "boss")


def test_everybody_moves_to_it_without_being_enrolled_again(
    office: Office,
    photo: Photo,
    ada: str,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
    roster_of: Callable[[str], Roster],
) -> None:
    before = roster_of("front")
    key = Keyring(settings.state).site
    change = office.ship_model(make_bundle(key, version="0.2.0", seed=2, shift=0.2), "boss")
    after = roster_of("front")
    verdict = office.examine(photo(1))
    assert verdict.embedding is not None
    assert "Templates made for it: 1." in change.sentence
    assert after.encoder_id != before.encoder_id
    assert after.generation > before.generation
    np.testing.assert_allclose(after.people[0].vectors()[0], verdict.embedding, atol=1e-6)
    assert after.policy.tau == pytest.approx(before.policy.tau + 0.2, abs=0.003)


def test_a_threshold_that_follows_the_gallery_follows_the_encoder_too(
    office: Office,
    ada: str,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
    roster_of: Callable[[str], Roster],
) -> None:
    office.follow_gallery("front", 1e-4, "boss")
    before = roster_of("front").policy
    office.ship_model(make_bundle(Keyring(settings.state).site, version="0.2.0", seed=2, shift=0.2), "boss")
    after = roster_of("front").policy
    assert after.tau == pytest.approx(before.tau + 0.2, abs=0.003)
    assert after.fpir == before.fpir == 1e-4


def test_another_process_sees_it_at_once(
    office: Office,
    make_office: Callable[..., Office],
    photo: Photo,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
    roster_of: Callable[[str], Roster],
) -> None:
    shell = make_office()
    shell.ship_model(make_bundle(Keyring(settings.state).site, version="0.2.0", seed=2), "root")
    office.enrol("Ada", photo(1), [], "boss")
    assert [person.name for person in roster_of("front").people] == ["Ada"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": "0.0.9", "seed": 2}, "older than 0.1.0"),
        ({"version": "0.2.0", "seed": 2, "golden_error": 0.05}, "computes other numbers"),
    ],
)
@pytest.mark.usefixtures("nothing_changes")
def test_an_older_or_miscomputing_one_is_refused(
    office: Office,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
    changes: dict[str, object],
    says: str,
) -> None:
    with pytest.raises(BundleRefused, match=says):
        office.ship_model(make_bundle(Keyring(settings.state).site, **changes), "boss")
    assert office.examine(b"").ok is False


def test_a_clock_that_was_set_back_does_not_bring_the_old_one_back(
    office: Office,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("admin_ui.shelf.utc_now", lambda: datetime(2001, 1, 1, tzinfo=timezone.utc))
    office.ship_model(make_bundle(Keyring(settings.state).site, version="0.2.0", seed=2), "boss")
    with office.store.read() as session:
        row = newest(session)
    assert row is not None
    assert row.version == "0.2.0"


def test_the_way_back_needs_the_administrators_word_and_every_roster_then_carries_it(
    office: Office,
    photo: Photo,
    settings: AdminSettings,
    make_bundle: Callable[..., bytes],
    roster_of: Callable[[str], Roster],
) -> None:
    key = Keyring(settings.state).site
    office.ship_model(make_bundle(key, version="0.2.0", seed=2), "boss")
    assert roster_of("front").rollback_to == ""
    office.ship_model(make_bundle(key, version="0.1.0", seed=1), "boss", rollback=True)
    office.enrol("Ada", photo(1), [], "boss")
    assert roster_of("front").rollback_to == roster_of("front").encoder_id
    office.ship_model(make_bundle(key, version="0.3.0", seed=3), "boss")
    assert roster_of("front").rollback_to == ""
