"""The report is one file that asks nothing of anybody, and shows faces only where it may."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from firmware_config.face import FloatArray, ImageArray
from tests.makers_trial import known_people
from trainer.measuring import evaluate, figures
from trainer.measuring.report import html_report, one_shot_report, plots_report, worst_pairs
from trainer.measuring.trial import Trial


@pytest.fixture(scope="module")
def trial() -> Trial:
    return replace(known_people(people=8, photos=4, spread=0.6), log=[{"loss": 3.0 / (i + 1)} for i in range(40)])


def _mean_colour(pictures: ImageArray) -> FloatArray:
    rows = pictures.reshape(len(pictures), -1, 3).mean(axis=1)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def test_a_report_is_whole_in_itself(trial: Trial) -> None:
    page = html_report(evaluate.verification(trial), trial, _mean_colour)
    for part in ("ROC", "DET", "Distances", "t-SNE", "loss", "farthest apart", "looked at"):
        assert part in page
    # Nothing is asked of any host: only the names of XML's own spaces look like addresses.
    addresses = set(re.findall(r"https?://[^\"'\s)]+", page))
    assert {address for address in addresses if "www.w3.org" not in address} == set()
    assert not re.search(r"<(script|link|iframe)\b", page)


def test_faces_stay_out_unless_they_may_be_shown(trial: Trial) -> None:
    closed = replace(trial, may_show=False)
    page = html_report(evaluate.verification(closed), closed, _mean_colour)
    assert "data:image/png" not in page
    assert "--faces" in page
    assert "data:image/png" in html_report(evaluate.verification(closed), closed, _mean_colour, faces=True)


def test_the_same_measurement_gives_the_same_bytes(trial: Trial) -> None:
    result = evaluate.verification(trial)
    assert html_report(result, trial) == html_report(result, trial)


def test_the_worst_pairs_are_the_farthest_genuine_and_the_nearest_impostors(trial: Trial) -> None:
    distances, same = trial.distances()
    for genuine, worst in ((True, distances[same].max()), (False, distances[~same].min())):
        pairs, titles = worst_pairs(trial, genuine, count=3)
        first, second = trial.embeddings[pairs[0]]
        assert float(np.linalg.norm(first - second)) == pytest.approx(float(worst), abs=1e-6)
        assert titles[0].endswith(f"{worst:.2f}")


def test_a_report_of_lakes_runs_has_a_bar_for_each_and_no_pictures() -> None:
    each = [0.9 + 0.005 * number for number in range(20)]
    result = {"run": "omniglot", "seed": 0, "lake_runs": {"runs": 20, "accuracy": 0.9475, "each": each}}
    page = one_shot_report([result], ["omniglot, seed 0: 94.8 %"], [[{"loss": 2.0}] * 30])
    assert "20-way one-shot: mean 94.8%" in page
    assert "omniglot, seed 0: 94.8 %" in page
    assert "data:image" not in page


def test_curves_of_a_measurement_are_a_page_of_their_own() -> None:
    plots = [figures.curves({"random": [0.2, 0.1], "batch-hard": [0.1, 0.05]}, "epoch", "EER", "Mean", wanted=0.1)]
    plots.append(figures.amounts({"decoding": 3000.0}, "crops a second", "2000 crops"))
    page = plots_report("Mining <b>", ["random: 42 epochs"], plots, {"epochs": 42})
    for part in ("Mining &lt;b&gt;", "random: 42 epochs", "batch-hard", "3,000", "&quot;epochs&quot;: 42"):
        assert part in page
    assert page.count("<svg") == 2


def test_a_report_of_several_splits_shows_them_side_by_side() -> None:
    results = [
        {"run": "att", "seed": seed, "eer": 0.03 + 0.01 * seed, "one_shot": {"ways": 10, "accuracy": 0.9}}
        for seed in range(3)
    ]
    page = one_shot_report(results, ["att"], [[], [], []])
    assert "EER, by split: mean 4.0%" in page
    assert "10-way one-shot, by split: mean 90.0%" in page
