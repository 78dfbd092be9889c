"""A larger door needs a stricter comparison for the same chance that a stranger gets in."""

import numpy as np
import pytest

from firmware_config.calibration import fmr_for_gallery
from firmware_config.errors import BadInput


def test_one_template_needs_the_rate_itself_and_many_share_it() -> None:
    assert fmr_for_gallery(1e-4, 1) == pytest.approx(1e-4)
    assert fmr_for_gallery(1e-4, 500) == pytest.approx(1e-4 / 500, rel=1e-3)


def test_strangers_get_in_as_often_as_asked_for() -> None:
    random = np.random.default_rng(6)
    tau = 2.0 * fmr_for_gallery(0.05, 40)  # distances spread evenly over 0 to 2: their rate at tau is tau / 2
    nearest = random.uniform(0.0, 2.0, (40_000, 40)).min(axis=1)
    assert float(np.mean(nearest <= tau)) == pytest.approx(0.05, abs=0.005)


def test_templates_of_one_person_that_are_alike_only_make_it_safer() -> None:
    random = np.random.default_rng(7)
    tau = 2.0 * fmr_for_gallery(0.05, 40)
    alike = np.repeat(random.uniform(0.0, 2.0, (40_000, 10)), 4, axis=1).min(axis=1)
    assert float(np.mean(alike <= tau)) < 0.05


@pytest.mark.parametrize(("fpir", "templates"), [(0.0, 5), (1.0, 5), (1e-4, 0)])
def test_what_is_no_rate_or_no_gallery_is_refused(fpir: float, templates: int) -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        fmr_for_gallery(fpir, templates)
