"""A door whose roster was made by an older encoder: it goes on with it where the bundle proves that it may."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from device.replay import load_active
from device.roster import Holdings
from firmware_config.bundle import BundleRefused
from firmware_config.errors import BadInput
from firmware_config.messages import encode
from firmware_config.roster import Policy
from tests.device.test_roster_on_disk import Fuse, PowerCut
from tests.holdings import names, running
from tests.makers import Premises, encoder_id, toy_bundle, unit
from tests.makers_compatible import compatible_bundle

OLD, NEW = encoder_id(1), encoder_id(2)


def updated(premises: Premises, **changes: object) -> Holdings:
    """A door with Ada on a list of encoder 1, which was sent encoder 2 that proves that it is compatible."""
    holdings = premises.holdings()
    assert holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7}))).changed
    outcome = holdings.offer_bundle(compatible_bundle(premises.site_key, **changes))  # type: ignore[arg-type]
    assert (outcome.refused, outcome.changed) == ("", True)
    assert outcome.facts["roster_encoder"] == OLD
    return holdings


def tau(holdings: Holdings) -> float:
    assert holdings.active.roster is not None
    return holdings.active.roster.policy.tau


def test_the_list_stays_through_the_update_and_over_a_restart(premises: Premises) -> None:
    for door in (updated(premises), premises.holdings()):
        assert running(door) == (1, NEW, "2.0.0", ["Ada"])
        assert door.problems == []
        assert door.staged is None
        assert door.active.gallery is not None
        match = door.active.gallery.nearest(unit(7))
        assert match is not None
        assert match.name == "Ada"
        assert (door.applied().encoder_id, door.applied().roster_encoder) == (NEW, OLD)


def test_it_is_compared_at_the_threshold_of_the_cross_calibration(premises: Premises) -> None:
    before = premises.roster(1).policy
    for door in (updated(premises, shift=-0.2), premises.holdings()):
        assert door.active.roster is not None
        assert tau(door) == pytest.approx(before.tau - 0.2, abs=1e-3)
        assert door.active.roster.policy.tau_strict == pytest.approx(before.tau_strict - 0.2, abs=1e-3)


def test_the_new_list_ends_it_with_its_own_threshold(premises: Premises) -> None:
    holdings = updated(premises)
    policy = Policy(tau=0.55, tau_strict=0.5)
    fresh = premises.sealed(premises.roster(2, {"Ada": 17}, seed=2, policy=policy))
    assert holdings.offer_roster(fresh).changed
    for door in (holdings, premises.holdings()):
        assert running(door) == (2, NEW, "2.0.0", ["Ada"])
        assert tau(door) == 0.55
        assert door.applied().roster_encoder == ""


def test_somebody_who_is_erased_meanwhile_is_gone_whichever_encoder_the_list_is_of(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7, "Bob": 8})))
    holdings.offer_bundle(compatible_bundle(premises.site_key))
    # Retained before the update, and delivered after it.
    later = premises.sealed(premises.roster(2, {"Ada": 7}))
    assert holdings.offer_roster(later).changed
    assert holdings.offer_roster(later).refused == ""
    for door in (holdings, premises.holdings()):
        assert running(door) == (2, NEW, "2.0.0", ["Ada"])
        assert tau(door) == pytest.approx(1.0, abs=1e-3)


def test_a_door_without_a_list_takes_the_older_encoders(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_bundle(compatible_bundle(premises.site_key))
    assert holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7}))).changed
    assert running(premises.holdings()) == (1, NEW, "2.0.0", ["Ada"])


def test_without_the_declaration_the_two_wait_for_each_other_as_ever(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    assert not holdings.offer_bundle(premises.bundle("2.0.0", 2)).changed
    assert running(holdings) == (1, OLD, "1.0.0", ["Ada"])
    assert holdings.applied().roster_encoder == ""


def test_a_declaration_about_another_encoder_is_none_about_ours(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    assert not holdings.offer_bundle(compatible_bundle(premises.site_key, old=3)).changed
    assert running(holdings) == (1, OLD, "1.0.0", ["Ada"])
    assert holdings.staged is not None
    of_a_third = premises.sealed(premises.roster(2, {"Eve": 9}, seed=4))
    assert holdings.offer_roster(of_a_third).refused == "encoder_mismatch"


def test_it_does_not_hold_the_other_way_round(premises: Premises) -> None:
    """Templates of the new encoder are not for the old one's probes."""
    holdings = updated(premises)
    holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 17}, seed=2, rollback_to=OLD)))
    assert not holdings.offer_bundle(premises.bundle("1.0.0", 1)).changed
    assert running(holdings) == (2, NEW, "2.0.0", ["Ada"])


def test_a_declaration_that_is_withdrawn_ends_the_comparison_until_a_fitting_list_comes(premises: Premises) -> None:
    holdings = updated(premises)
    assert holdings.offer_bundle(premises.bundle("2.1.0", 2)).changed
    for door in (holdings, premises.holdings()):
        assert names(door) == []
        assert door.active.gallery is None
        assert any("Nobody is let in" in problem for problem in door.problems)
    assert holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 17}, seed=2))).changed
    assert running(premises.holdings()) == (2, NEW, "2.1.0", ["Ada"])
    assert holdings.problems == []


def test_a_better_proof_for_the_same_encoder_moves_the_threshold(premises: Premises) -> None:
    holdings = updated(premises, shift=0.1)
    assert holdings.offer_bundle(compatible_bundle(premises.site_key, "2.1.0", shift=-0.1)).changed
    assert tau(holdings) == tau(premises.holdings()) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("list_first", [True, False])
def test_the_way_back_ends_with_the_encoder_that_made_the_list(premises: Premises, list_first: bool) -> None:
    holdings = updated(premises)
    holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 17}, seed=2)))
    old = toy_bundle("1.0.0", 1, premises.site_key)
    back = premises.sealed(premises.roster(3, {"Ada": 7}, rollback_to=OLD))
    if list_first:
        holdings.offer_roster(back)
        assert holdings.applied().roster_encoder == OLD
        holdings.offer_bundle(old)
    else:
        assert holdings.offer_bundle(old).refused == "older_version"
        holdings.offer_roster(back)
    for door in (holdings, premises.holdings()):
        assert running(door) == (3, OLD, "1.0.0", ["Ada"])
        assert door.applied().roster_encoder == ""
        assert tau(door) == premises.roster(1).policy.tau


def test_a_power_cut_in_the_update_leaves_the_old_pair_or_the_new(tmp_path: Path) -> None:
    seen = set()
    for steps in range(60):
        premises = Premises(tmp_path / str(steps))
        premises.folder.mkdir()
        premises.holdings().offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
        bundle = compatible_bundle(premises.site_key)
        fuse = Fuse(steps)
        with pytest.MonkeyPatch.context() as wires:
            holdings = premises.holdings()
            for name in ("fsync", "replace", "unlink"):
                wires.setattr(os, name, fuse.guard(getattr(os, name)))
            with contextlib.suppress(PowerCut):
                holdings.offer_bundle(bundle)
        after = premises.holdings()
        assert after.problems == []
        assert (after.active.manifest.encoder_id, round(tau(after), 2)) in ((OLD, 0.9), (NEW, 1.0))
        seen.add(after.active.manifest.encoder_id)
        after.offer_bundle(bundle)
        assert running(after) == (1, NEW, "2.0.0", ["Ada"])
        if not fuse.blown:
            break
    assert not fuse.blown
    assert seen == {OLD, NEW}


def test_a_replay_takes_such_a_pair_too_and_no_other(premises: Premises) -> None:
    roster, bundle = premises.folder / "roster.json", premises.folder / "new.latchkey"
    roster.write_bytes(encode(premises.roster(1, {"Ada": 7})))
    bundle.write_bytes(toy_bundle("2.0.0", 2))
    with pytest.raises(BadInput, match="Name the right bundle"):
        load_active(roster, bundle, None)
    bundle.write_bytes(compatible_bundle(None))
    # Past the comparison of encoders: what is refused is the toy, which is no ONNX file.
    with pytest.raises(BundleRefused, match="does not load"):
        load_active(roster, bundle, None)


def test_only_the_site_may_declare(premises: Premises) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    for key in (None, premises.release_key):
        assert holdings.offer_bundle(compatible_bundle(key)).refused == "bad_signature"
    assert running(premises.holdings()) == (1, OLD, "1.0.0", ["Ada"])
