"""What the door keeps when the disk is full, or the power goes in the middle."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import device.shelf
from device.roster import Holdings
from device.shelf import Shelf
from tests.holdings import names, running
from tests.makers import Premises, encoder_id


def test_a_full_disk_refuses_and_keeps_what_runs(premises: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))

    def full(path: Path, data: bytes, mode: int = 0o600) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(device.shelf, "write_atomic", full)
        outcome = holdings.offer_roster(premises.sealed(premises.roster(2, {"Bob": 8})))
        assert outcome.refused == "not_saved"
        assert names(holdings) == ["Ada"]
    assert holdings.offer_roster(premises.sealed(premises.roster(2, {"Bob": 8}))).changed


def test_what_a_full_disk_did_not_take_of_a_switch_is_finished_when_it_does(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    holdings.offer_bundle(premises.bundle("1.1.0", 2))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        for step in ("promote", "keep_marks"):
            broken.setattr(Shelf, step, full)
        assert holdings.offer_roster(premises.sealed(premises.roster(2, {"Ada": 7}, seed=2))).changed
        holdings.finish()
        assert len(holdings.problems) == 1
        assert "cannot be written" in holdings.problems[0]
    holdings.finish()
    assert holdings.problems == []
    shelf = Shelf(premises.state)
    assert shelf.staged() is None
    assert shelf.marks().generation == 2
    assert names(premises.holdings()) == ["Ada"]


def test_a_roster_that_waited_for_its_bundle_waits_on_while_the_disk_is_full(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    holdings = premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    assert holdings.offer_roster(premises.sealed(premises.roster(2, {"Bob": 8}, seed=2))).refused
    bundle = premises.bundle("1.1.0", 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Shelf, "keep_roster", full)
        assert holdings.offer_bundle(bundle).refused == "not_saved"
    assert holdings.offer_bundle(bundle).changed
    assert names(holdings) == ["Bob"]


class PowerCut(BaseException):
    """Nothing after this runs, as when the power goes."""


class Fuse:
    """Blows at the n-th step that reaches the disk."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.blown = False

    def guard(self, real: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **more: object) -> object:
            if self.left == 0:
                self.blown = True
                raise PowerCut
            self.left -= 1
            return real(*args, **more)

        return step


def switch(holdings: Holdings, documents: list[bytes]) -> None:
    holdings.offer_bundle(documents[0])
    holdings.offer_roster(documents[1])


def test_a_power_cut_at_any_step_leaves_the_old_pair_or_the_new(tmp_path: Path) -> None:
    outcomes = set()
    for steps in range(60):
        premises = Premises(tmp_path / str(steps))
        premises.folder.mkdir()
        premises.holdings().offer_roster(premises.sealed(premises.roster(1, {"Ada": 7, "Bob": 8})))
        documents = [premises.bundle("2.0.0", 2), premises.sealed(premises.roster(2, {"Ada": 17}, seed=2))]
        fuse = Fuse(steps)
        with pytest.MonkeyPatch.context() as wires:
            holdings = premises.holdings()
            # unlink too: after a real cut nobody clears up the temporary file.
            for name in ("fsync", "replace", "unlink"):
                wires.setattr(os, name, fuse.guard(getattr(os, name)))
            with contextlib.suppress(PowerCut):
                switch(holdings, documents)
        after = premises.holdings()
        assert after.problems == []
        assert running(after) in (
            (1, encoder_id(1), "1.0.0", ["Ada", "Bob"]),
            (2, encoder_id(2), "2.0.0", ["Ada"]),
        )
        outcomes.add(running(after)[0])
        # Whatever was left, the retained documents bring the door to where it should be, and nothing goes back.
        switch(after, documents)
        assert running(after) == (2, encoder_id(2), "2.0.0", ["Ada"])
        # A half-written roster may hold somebody who was erased: it must not stay.
        assert not [path for path in premises.state.iterdir() if path.name.startswith(".")]
        if not fuse.blown:
            break
    assert not fuse.blown
    assert outcomes == {1, 2}
