"""Omniglot and MNIST are read as published, and who is held out is in nothing that trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_config.errors import BadInput
from tests.trainer.handwritten import ALPHABETS, CHARACTERS, DRAWERS, idx, write_mnist, write_omniglot
from trainer.config import Data
from trainer.images import handwriting
from trainer.images.mnist import parse_idx, read_mnist
from trainer.images.omniglot import read_background, read_lake_runs


def test_background_has_each_drawing_once(tmp_path: Path) -> None:
    write_omniglot(tmp_path)
    drawings = read_background(tmp_path)
    assert len(drawings) == len(ALPHABETS) * CHARACTERS * DRAWERS  # one alphabet is in both files
    assert {drawing.alphabet for drawing in drawings} == set(ALPHABETS)
    assert drawings[0].pixels.shape == (105, 105)
    assert 0.0 < (drawings[0].pixels > 127).mean() < 0.2  # ink is bright, and little


def test_lake_runs_say_which_example_each_test_is(tmp_path: Path) -> None:
    write_omniglot(tmp_path)
    runs = read_lake_runs(tmp_path)
    assert len(runs) == 20
    assert runs[0].examples.shape == runs[0].tests.shape == (20, 105, 105)
    assert sorted(runs[0].answers) == list(range(20))
    assert (runs[0].answers == np.random.default_rng(1).permutation(20)).all()


def test_missing_or_broken_files_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--data DIR"):
        read_background(tmp_path)
    write_omniglot(tmp_path)
    whole = (tmp_path / "all_runs.zip").read_bytes()
    (tmp_path / "all_runs.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="not a whole zip"):
        read_lake_runs(tmp_path)


def test_held_out_alphabet_validates_and_makes_no_new_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_omniglot(tmp_path)
    seen: list[set[str]] = []
    real = handwriting.composed_characters
    monkeypatch.setattr(
        handwriting,
        "composed_characters",
        lambda drawings, *rest: seen.append({key.split("/")[0] for key in drawings.keys}) or real(drawings, *rest),
    )
    settings = Data(source="omniglot", held_out=("Twos",), ways=8, composed=5)
    faces, split = handwriting.load_omniglot(settings, tmp_path, 32, seed=3)
    assert seen == [{"Ones", "Threes"}]
    assert {faces.keys[row].split("/")[0] for row in split.validation} == {"Twos"}
    assert len(split.validation) == CHARACTERS * DRAWERS
    assert len(split.train) == 2 * CHARACTERS * DRAWERS * 8 + 5 * handwriting.COMPOSED_EACH
    with pytest.raises(BadInput, match="no alphabet 'Fours' to hold out"):
        handwriting.load_omniglot(Data(source="omniglot", held_out=("Fours",)), tmp_path, 32, seed=3)


def test_digits_train_and_nobody_validates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "mnist.tgz")
    monkeypatch.setattr("trainer.images.mnist.fetch", lambda _name, _cache: tmp_path / "mnist.tgz")
    images, labels = read_mnist()
    assert images.shape == (40, 28, 28)
    assert labels[:10].tolist() == list(range(10))
    faces, split = handwriting.load_mnist(Data(source="mnist", digits=3, composed=2), 32, seed=0)
    assert len(split.train) == len(faces) == 3 * 10 + 2 * handwriting.COMPOSED_EACH
    assert faces.people == 12
    assert len(split.validation) == 0


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_idx_round_trip(shape: list[int]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert (parse_idx(idx(array)) == array).all()
    for cut in (2, 5, len(idx(array)) - 1):
        with pytest.raises(BadInput, match="IDX"):
            parse_idx(idx(array)[:cut])
