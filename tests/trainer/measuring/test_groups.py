"""False matches are counted among the strangers of each group, and a group of its own is no secret."""

from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from device.outfit import default_bundle
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray
from trainer.cli import main
from trainer.measuring import groups
from trainer.packing.card import model_card


def strangers(count: int, alike: float, seed: int) -> FloatArray:
    """float32[count, 32], unit rows. alike: how much of one direction all of them have."""
    rows = np.random.default_rng(seed).normal(size=(count, 32))
    rows[:, 0] += alike * np.sqrt(32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module")
def two() -> tuple[FloatArray, list[str]]:
    """Thirty who are far apart, and forty who are more alike; mixed up."""
    rows = np.concatenate([strangers(30, 0.0, seed=1), strangers(40, 0.8, seed=2)])
    order = np.random.default_rng(3).permutation(len(rows))
    return rows[order], [("apart", "alike")[int(i >= 30)] for i in order]


def test_every_pair_of_a_group_is_counted_once(
    two: tuple[FloatArray, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, names = two
    monkeypatch.setattr(groups, "BLOCK", 7)
    taus = (1.05, 1.2)
    for tau, at in zip(taus, groups.false_match_rates(rows, names, taus), strict=True):
        near = [pair for pair in combinations(range(70), 2) if np.linalg.norm(rows[pair[0]] - rows[pair[1]]) <= tau]
        assert at.fmr == len(near) / at.pairs
        assert at.pairs == 70 * 69 // 2
        for rate in at.groups:
            own = [(a, b) for a, b in near if names[a] == names[b] == rate.group]
            assert (rate.matches, rate.images) == (len(own), names.count(rate.group))
            assert rate.fmr == len(own) / (rate.images * (rate.images - 1) // 2)


def test_the_group_whose_people_are_alike_comes_first_and_its_interval_is_its_own(
    two: tuple[FloatArray, list[str]],
) -> None:
    (at,) = groups.false_match_rates(*two, (1.2,))
    worst, best = at.groups
    assert (worst.group, best.group) == ("alike", "apart")
    for rate in at.groups:
        assert rate.interval[0] <= rate.fmr <= rate.interval[1]
    assert worst.interval[0] > best.interval[1]


@pytest.mark.parametrize("names", [["one"] * 70, ["one"] * 69 + ["alone"]])
def test_one_group_or_one_image_is_not_enough(two: tuple[FloatArray, list[str]], names: list[str]) -> None:
    with pytest.raises(BadInput, match=r"two groups or more of 2 images or more each; here are .*one: (69|70)"):
        groups.false_match_rates(two[0], names, (1.0,))


@pytest.fixture(scope="module")
def found(shard_folder: Path) -> dict[str, object]:
    """The encoder that comes with Latchkey, on squares of one colour, which are all alike."""
    return groups.by_group(default_bundle().read_bytes(), shard_folder)


def test_a_bundle_is_judged_at_its_own_thresholds(found: dict[str, object]) -> None:
    calibration = read_bundle(default_bundle().read_bytes(), None).calibration
    assert [at["tau"] for at in found["at"]] == [calibration.tau_at(rate) for rate in groups.RATES]
    assert sorted(rate["group"] for rate in found["at"][0]["groups"]) == ["Black F", "White M"]
    assert found["images"] == 8
    assert all("of 28 pairs match; by group, with 95 %: " in line for line in groups.lines(found))


def test_the_command_prints_json_or_sentences_and_draws(
    shard_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], found: dict[str, object]
) -> None:
    report = tmp_path / "groups.html"
    command = ["evaluate", str(default_bundle()), "--protocol", "groups", "--data", str(shard_folder)]
    assert main([*command, "--json", "--report", str(report)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found))
    page = report.read_text(encoding="utf-8")
    assert page.count("<svg") == len(groups.RATES)
    assert "Black F" in page
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == groups.lines(found)


def test_without_fairface_it_says_where_the_crops_may_lie(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"faces-fairface.*--data DIR"):
        groups.by_group(default_bundle().read_bytes(), tmp_path)


def test_images_that_name_no_group_are_refused(shard_folder: Path, tmp_path: Path) -> None:
    shutil.copy(shard_folder / "faces-celeba-00.tar", tmp_path / "faces-fairface-00.tar")
    with pytest.raises(BadInput, match=r"names no group: keys .* are ff-GROUP-SEX-NUMBER"):
        groups.by_group(default_bundle().read_bytes(), tmp_path)


def test_the_model_card_has_a_row_for_each_group_and_says_who_was_taught_on_them(found: dict[str, object]) -> None:
    bundle = read_bundle(default_bundle().read_bytes(), None)

    def card_of(**changes: object) -> str:
        return model_card(bundle.manifest.model_copy(update=changes), bundle.calibration)

    trained = bundle.manifest.training
    assert "have not been measured by group" in card_of(training=trained | {"results": {}})
    grouped = trained | {"results": {"groups": found}}
    card = card_of(training=grouped)
    assert "not been measured" not in card
    assert "taught on them, without names" in card
    assert "| Black F | 5 | " in card
    assert "- groups: `" not in card, "numbers of this kind are a table"
    assert "taught on them" not in card_of(training=grouped, trained_on=["people of ours"])
