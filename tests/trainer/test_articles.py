"""Pictures and cards say what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from firmware_config.errors import BadInput
from trainer import articles, bundling, figures
from trainer.config import Config
from trainer.data import Faces
from trainer.trial import Trial


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


@pytest.mark.parametrize(("unnamed", "count"), [(0, 1), (4, 2)])
def test_the_card_names_what_was_trained_on(tiny_door: Config, unnamed: int, count: int) -> None:
    data = tiny_door.data.model_copy(update={"unnamed_images": unnamed})
    named = bundling.sources(tiny_door.model_copy(update={"data": data}))
    assert len(named) == count
    assert "non-commercial" in named[0]


def test_a_bundle_of_ones_own_people_says_what_their_photos_may_be_used_for(tiny_door: Config) -> None:
    own = tiny_door.data.model_copy(update={"source": "folder", "unnamed_images": 0})
    with pytest.raises(BadInput, match="terms ="):
        bundling.terms(tiny_door.model_copy(update={"data": own}))
    told = own.model_copy(update={"terms": "our colleagues, who agreed"})
    assert bundling.sources(tiny_door.model_copy(update={"data": told})) == ["our colleagues, who agreed"]
