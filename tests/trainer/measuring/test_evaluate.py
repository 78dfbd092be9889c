"""What an evaluation says: every number with its interval, and none that the pairs cannot carry."""

from __future__ import annotations

import json

import numpy as np
import pytest

from firmware_config.errors import BadInput
from tests.makers_trial import known_people
from trainer.measuring import evaluate
from trainer.measuring.trial import Trial, greyed


@pytest.fixture(scope="module")
def trial() -> Trial:
    return known_people(people=12, photos=5, spread=0.5)


def test_numbers_come_with_intervals_that_hold_them(trial: Trial) -> None:
    result = evaluate.verification(trial)
    assert (result["people"], result["genuine_pairs"], result["impostor_pairs"]) == (12, 120, 1650)
    for name in ("tar_at_fmr_1e-2", "tar_at_fmr_1e-3"):
        low, high = result["intervals"][name]
        assert low <= result[name] <= high


def test_a_rate_that_the_pairs_cannot_carry_is_none(trial: Trial) -> None:
    # 1,650 impostor pairs: one in ten thousand would be less than one pair.
    result = evaluate.verification(trial)
    assert result["tar_at_fmr_1e-4"] is None
    assert "tar_at_fmr_1e-4" not in result["intervals"]
    assert "1e-4" not in evaluate.sentence(result)


def test_the_bundles_own_threshold_is_judged_on_these_people(trial: Trial) -> None:
    at = evaluate.verification(trial, tau=2.0)["at_bundle_tau_1e-3"]
    assert (at["tar"], at["fmr"]) == (1.0, 1.0)


def test_results_are_json_and_sentences(trial: Trial) -> None:
    result = evaluate.verification(trial)
    assert json.loads(json.dumps(result))["eer"] == result["eer"]
    assert "12 people" in evaluate.sentence(result)
    found = evaluate.identification(trial, galleries=(4,))
    assert "gallery of 4" in evaluate.sentence(found)
    assert json.loads(json.dumps(found))["galleries"][0]["fnir_at_fpir"].keys() == {"1e-1", "1e-2", "1e-3"}


def test_people_with_one_picture_each_cannot_be_measured() -> None:
    with pytest.raises(BadInput, match="no pairs of one person"):
        evaluate.verification(known_people(people=5, photos=1, spread=0.1))


def test_grey_probes_have_one_value_in_all_channels_and_keep_their_light() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    grey = greyed(crops)
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.array_equal(grey[..., 0], grey[..., 2])
    luma = crops @ np.array([0.299, 0.587, 0.114])
    assert float(np.abs(grey[..., 0] - luma).max()) <= 1.0
