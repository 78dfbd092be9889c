"""What the door runs: documents taken, switched together, and kept over restarts and power cuts."""

from __future__ import annotations

import pytest

from firmware_config.bundle import sign_bundle
from firmware_config.errors import BadState
from tests.holdings import names, running
from tests.makers import Premises, encoder_id, toy_bundle, unit


def test_a_new_door_runs_the_packages_encoder_and_knows_nobody(premises: Premises) -> None:
    holdings = premises.holdings()
    assert running(holdings) == (0, encoder_id(1), "1.0.0", [])
    assert holdings.active.gallery is None
    assert holdings.problems == []


def test_a_roster_takes_effect_at_once_and_stays_over_a_restart(premises: Premises) -> None:
    holdings = premises.holdings()
    outcome = holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    assert (outcome.refused, outcome.changed) == ("", True)
    for opened in (holdings, premises.holdings()):
        assert running(opened) == (1, encoder_id(1), "1.0.0", ["Ada"])
        assert opened.active.gallery is not None
        match = opened.active.gallery.nearest(unit(7))
        assert match is not None
        assert match.name == "Ada"
        assert match.distance == pytest.approx(0, abs=1e-3)


def test_somebody_removed_stays_removed(premises: Premises) -> None:
    holdings = premises.holdings()
    both = premises.sealed(premises.roster(1, {"Ada": 7, "Bob": 8}))
    assert holdings.offer_roster(both).changed
    assert holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 7}))).changed
    assert holdings.offer_roster(both).refused == "older_generation"
    reopened = premises.holdings()
    assert reopened.offer_roster(both).refused == "older_generation"
    assert names(reopened) == ["Ada"]


def test_the_same_retained_roster_again_is_no_refusal(premises: Premises) -> None:
    roster = premises.roster(3, {"Ada": 7})
    sealed = premises.sealed(roster)
    holdings = premises.holdings()
    assert holdings.offer_roster(sealed).changed
    for again in (sealed, premises.sealed(roster)):  # the page seals anew with another nonce
        outcome = holdings.offer_roster(again)
        assert (outcome.refused, outcome.changed) == ("", False)
    assert premises.holdings().offer_roster(sealed).refused == ""
    other = premises.sealed(premises.roster(3, {"Mallory": 9}))
    assert holdings.offer_roster(other).refused == "older_generation"


def test_a_model_for_a_door_without_roster_is_used_at_once(premises: Premises) -> None:
    holdings = premises.holdings()
    outcome = holdings.offer_bundle(premises.bundle("1.1.0", 2))
    assert (outcome.refused, outcome.changed) == ("", True)
    assert running(premises.holdings()) == (0, encoder_id(2), "1.1.0", [])


def test_encoder_and_roster_switch_together(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    outcome = holdings.offer_bundle(premises.bundle("2.0.0", 2))
    assert (outcome.refused, outcome.changed) == ("", False)
    assert running(holdings) == (1, encoder_id(1), "1.0.0", ["Ada"])
    assert holdings.staged is not None
    assert premises.holdings().staged == holdings.staged
    outcome = holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 17}, seed=2)))
    assert (outcome.refused, outcome.changed) == ("", True)
    for opened in (holdings, premises.holdings()):
        assert running(opened) == (2, encoder_id(2), "2.0.0", ["Ada"])
        assert opened.staged is None


def test_retained_messages_come_in_any_order(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    early = premises.sealed(premises.roster(2, {"Ada": 17}, seed=2))
    assert holdings.offer_roster(early).refused == "encoder_mismatch"
    assert running(holdings)[0] == 1
    assert holdings.offer_bundle(premises.bundle("2.0.0", 2)).changed
    assert running(holdings) == (2, encoder_id(2), "2.0.0", ["Ada"])
    assert holdings.applied().refused == ""


def test_a_bundle_signed_anew_for_the_same_encoder_keeps_the_roster(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    resigned = sign_bundle(toy_bundle("1.0.0", 1, premises.release_key), premises.site_key)
    assert holdings.offer_bundle(resigned).refused == ""
    assert running(premises.holdings()) == (1, encoder_id(1), "1.0.0", ["Ada"])


def test_an_upgraded_package_does_not_pull_the_encoder_from_under_the_roster(premises: Premises) -> None:
    premises.holdings().offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    premises.default_bundle.write_bytes(toy_bundle("9.0.0", 3, premises.release_key))
    assert running(premises.holdings()) == (1, encoder_id(1), "1.0.0", ["Ada"])


def test_going_back_needs_a_signed_word_and_works_in_any_order(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_bundle(premises.bundle("2.0.0", 2))
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7}, seed=2)))
    old = premises.bundle("1.0.0", 1)
    assert holdings.offer_bundle(old).refused == "older_version"
    back = premises.sealed(premises.roster(2, {"Ada": 8}, seed=1, rollback_to=encoder_id(1)))
    assert holdings.offer_roster(back).changed
    assert running(premises.holdings()) == (2, encoder_id(1), "1.0.0", ["Ada"])
    # The next roster need not say it again, and the bundle between is still older than what was run.
    assert holdings.offer_roster(premises.sealed(premises.roster(3, {"Ada": 8}, seed=1))).changed
    assert running(premises.holdings()) == (3, encoder_id(1), "1.0.0", ["Ada"])
    assert premises.holdings().offer_bundle(premises.bundle("1.5.0", 4)).refused == "older_version"


def test_going_back_in_three_steps(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_bundle(premises.bundle("2.0.0", 2))
    permit = premises.roster(1, {"Ada": 7}, seed=2, rollback_to=encoder_id(1))
    holdings.offer_roster(premises.sealed(permit))
    assert holdings.offer_bundle(premises.bundle("1.0.0", 1)).refused == ""
    assert holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 8}, seed=1))).refused == "older_version"
    signed = premises.roster(2, {"Ada": 8}, seed=1, rollback_to=encoder_id(1))
    assert holdings.offer_roster(premises.sealed(signed)).changed
    assert running(premises.holdings()) == (2, encoder_id(1), "1.0.0", ["Ada"])


def test_a_permission_that_is_withdrawn_takes_the_staged_bundle_with_it(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_bundle(premises.bundle("2.0.0", 2))
    permit = premises.roster(1, {"Ada": 7}, seed=2, rollback_to=encoder_id(1))
    holdings.offer_roster(premises.sealed(permit))
    holdings.offer_bundle(premises.bundle("1.0.0", 1))
    assert holdings.staged is not None
    assert holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 7}, seed=2))).changed
    assert holdings.staged is None
    assert premises.holdings().staged is None


def test_a_damaged_roster_lets_nobody_in_until_it_is_delivered_again(premises: Premises) -> None:
    sealed = premises.sealed(premises.roster(4, {"Ada": 7}))
    premises.holdings().offer_roster(sealed)
    path = premises.state / "roster.sealed"
    path.write_bytes(path.read_bytes()[:-1])
    holdings = premises.holdings()
    assert running(holdings) == (0, encoder_id(1), "1.0.0", [])
    assert any("roster.sealed" in problem for problem in holdings.problems)
    assert holdings.offer_roster(premises.sealed(premises.roster(3, {"Eve": 9}))).refused == "older_generation"
    assert holdings.offer_roster(sealed).changed
    assert holdings.problems == []
    assert names(premises.holdings()) == ["Ada"]


def test_an_older_roster_file_put_back_is_not_used(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7, "Bob": 8})))
    old = (premises.state / "roster.sealed").read_bytes()
    holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 7})))
    (premises.state / "roster.sealed").write_bytes(old)
    assert names(premises.holdings()) == []


def test_a_damaged_model_lets_nobody_in_until_it_is_delivered_again(premises: Premises) -> None:
    holdings = premises.holdings()
    data = premises.bundle("2.0.0", 2)
    holdings.offer_bundle(data)
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7}, seed=2)))
    (premises.state / "model.latchkey").write_bytes(data[: len(data) // 2])
    damaged = premises.holdings()
    assert names(damaged) == []
    assert any("model.latchkey" in problem for problem in damaged.problems)
    assert damaged.offer_bundle(data).changed
    assert running(damaged) == (1, encoder_id(2), "2.0.0", ["Ada"])
    assert damaged.problems == []


def test_damaged_marks_are_not_read_as_none(premises: Premises) -> None:
    premises.holdings().offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    (premises.state / "marks.json").write_bytes(b"{")
    with pytest.raises(BadState, match=r"marks\.json is damaged"):
        premises.holdings()


def test_no_encoder_at_all_is_said(premises: Premises) -> None:
    premises.default_bundle.write_bytes(b"nothing")
    with pytest.raises(BadState, match="No encoder can be used"):
        premises.holdings()
