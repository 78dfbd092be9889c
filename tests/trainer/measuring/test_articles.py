"""Pictures and cards say what was measured."""

from __future__ import annotations

import numpy as np

from trainer.data import Faces
from trainer.measuring import articles, figures
from trainer.measuring.trial import Trial


def test_the_loss_curve_shows_every_tenth_batch() -> None:
    figure = figures.loss_curve([float(step) for step in range(95)])
    line = figure.axes[0].lines[0]
    assert np.asarray(line.get_xdata()).tolist() == list(range(0, 95, 10))
    assert np.asarray(line.get_ydata()).tolist() == [float(step) for step in range(0, 95, 10)]


def test_the_grid_has_half_of_its_pairs_the_same_person_and_their_distance(grey_people: Faces) -> None:
    # Embeddings that say who it is: 0 apart for one person, at least 1 for two.
    whose = grey_people.identities
    trial = Trial("held-out", "tutorial", whose[:, np.newaxis].astype(np.float32), whose, grey_people.pixels)
    titles = [axis.get_title() for axis in articles.dissimilarities(trial, seed=1).axes]
    assert titles[:4] == ["same: 0.00"] * 4
    assert all(title.startswith("different: ") and float(title.split()[1]) >= 1.0 for title in titles[4:])
