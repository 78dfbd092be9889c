"""Drawings are brought to one size and place; new characters are made of known ones, and only of those."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from trainer.data import Faces
from trainer.images.drawings import SPREAD, composed_characters, normalised, thickened, turned, turned_characters


def _ell(size: int = 105, at: tuple[int, int] = (20, 25), scale: float = 1.0) -> ImageArray:
    page = np.zeros((size, size), dtype=np.uint8)
    x, y = at
    long, short = round(40 * scale), round(24 * scale)
    cv2.line(page, (x, y), (x, y + long), 255, 3)
    cv2.line(page, (x, y + long), (x + short, y + long), 255, 3)
    return page


@pytest.fixture
def letters() -> Faces:
    """Three characters with four drawings each."""
    pages = []
    for kind in range(3):
        for copy in range(4):
            page = _ell(at=(18 + copy, 22 + 2 * copy))
            cv2.circle(page, (70, 30 + 20 * kind), 6 + 3 * kind, 255, 3)
            pages.append(normalised(page, 48))
    return Faces(np.stack(pages)[..., None], np.repeat(np.arange(3), 4), tuple(f"l{i:02d}" for i in range(12)))


def test_place_and_size_of_a_drawing_do_not_matter() -> None:
    first = normalised(_ell(), 48).astype(np.float32)
    elsewhere = normalised(_ell(at=(50, 40)), 48).astype(np.float32)
    larger = normalised(_ell(at=(10, 10), scale=1.8), 48).astype(np.float32)
    assert np.abs(first - elsewhere).mean() < 1.0
    assert np.corrcoef(first.ravel(), larger.ravel())[0, 1] > 0.75  # its strokes are thinner for its size
    places = np.arange(48) - 23.5
    for axis in (0, 1):
        profile = first.sum(axis=axis)
        assert abs((profile * places).sum() / profile.sum()) < 0.3
    spreads = [np.sqrt((p * places**2).sum() / p.sum()) for p in (first.sum(axis=0), first.sum(axis=1))]
    assert np.sqrt(np.mean(np.square(spreads))) == pytest.approx(SPREAD * 48, rel=0.1)


def test_empty_drawing_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="without ink"):
        normalised(np.zeros((105, 105), dtype=np.uint8), 48)


def test_thicker_pen_covers_more() -> None:
    thin = _ell()
    thick = thickened(thin)
    assert (thick >= thin).all()
    assert 2.0 < (thick > 0).sum() / (thin > 0).sum() < 4.0


def test_eight_ways_to_lay_a_square_differ() -> None:
    laid = {turned(_ell(), way).tobytes() for way in range(8)}
    assert len(laid) == 8


def test_turned_characters_are_characters_of_their_own(letters: Faces) -> None:
    made = turned_characters(letters, 8)
    assert made.people == 24
    assert np.bincount(made.identities).tolist() == [4] * 24
    assert (made.pixels[:12] == letters.pixels).all()
    assert len(set(made.keys)) == 96
    with pytest.raises(BadInput, match="not 3"):
        turned_characters(letters, 3)


def test_composed_characters_look_like_themselves(letters: Faces) -> None:
    made = composed_characters(letters, 6, 5, seed=1)
    assert made.pixels.shape == (30, 48, 48, 1)
    assert np.bincount(made.identities).tolist() == [5] * 6
    assert (composed_characters(letters, 6, 5, seed=1).pixels == made.pixels).all()
    assert not (composed_characters(letters, 6, 5, seed=2).pixels == made.pixels).all()
    rows = np.stack([cv2.GaussianBlur(each, (0, 0), 2.0).ravel() for each in made.pixels[..., 0].astype(np.float32)])
    alike = np.corrcoef(rows)
    same = made.identities[:, None] == made.identities[None]
    assert alike[same & ~np.eye(30, dtype=bool)].mean() > alike[~same].mean() + 0.2
