"""A network says whose images made it, those of the weights that it began with too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from firmware_config.errors import BadInput
from trainer import terms
from trainer.config import Config


@pytest.mark.parametrize(("unnamed", "count"), [(0, 1), (4, 2)])
def test_the_card_names_what_was_trained_on(tiny_door: Config, unnamed: int, count: int) -> None:
    data = tiny_door.data.model_copy(update={"unnamed_images": unnamed})
    named = terms.sources(tiny_door.model_copy(update={"data": data}))
    assert len(named) == count
    assert "non-commercial" in named[0]


def test_a_bundle_of_ones_own_people_says_what_their_photos_may_be_used_for(tiny_door: Config) -> None:
    own = tiny_door.data.model_copy(update={"source": "folder", "unnamed_images": 0})
    with pytest.raises(BadInput, match="terms ="):
        terms.terms(tiny_door.model_copy(update={"data": own}))
    told = own.model_copy(update={"terms": "our colleagues, who agreed"})
    assert terms.sources(tiny_door.model_copy(update={"data": told})) == ["our colleagues, who agreed"]


def test_weights_that_a_run_began_with_bind_it_too(tiny_door: Config) -> None:
    told = tiny_door.model_copy(
        update={
            "data": tiny_door.data.model_copy(
                update={"source": "folder", "unnamed_images": 0, "terms": "our colleagues, who agreed"}
            )
        }
    )
    assert terms.sources(told, [terms.CELEBA]) == ["our colleagues, who agreed", terms.CELEBA]
    assert "begun with weights trained on CelebA" in terms.licence(told, [terms.CELEBA])
    assert terms.licence(told) == "Trained on our colleagues, who agreed"
    assert terms.licence(tiny_door, [terms.CELEBA]) == f"Trained on {terms.CELEBA}", "said once"


def test_an_heir_is_told_where_nobody_wrote_the_terms_down(tiny_door: Config) -> None:
    own = tiny_door.model_copy(update={"data": tiny_door.data.model_copy(update={"source": "folder"})})
    assert terms.bequest(own, [terms.CELEBA])[0].endswith("whose terms nobody wrote down")
    assert terms.bequest(own, [terms.CELEBA])[1:] == [terms.CELEBA]


def test_the_committed_weights_say_what_they_were_trained_on() -> None:
    path = Path(__file__).parents[2] / "trainer/weights/door.pt"
    trained_on = torch.load(path, map_location="cpu", weights_only=True)["trained_on"]
    assert terms.CELEBA in trained_on
    assert any("SFace" in line and "Apache-2.0" in line for line in trained_on)
