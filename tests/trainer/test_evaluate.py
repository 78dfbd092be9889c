"""Protocols are read and judged as their authors say."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from firmware_config.errors import BadInput
from trainer import evaluate

PAIRS = "10\t300\nAbel_Pacheco\t1\t4\nAbdel_Madi_Shabneh\t1\tDean_Barker\t1\n"


def test_pairs_of_one_and_of_two_people() -> None:
    pairs, same = evaluate.parse_pairs(PAIRS)
    assert pairs == [
        ("Abel_Pacheco_0001", "Abel_Pacheco_0004"),
        ("Abdel_Madi_Shabneh_0001", "Dean_Barker_0001"),
    ]
    assert same == [True, False]


def test_a_line_that_is_no_pair_is_named() -> None:
    with pytest.raises(BadInput, match="Line 2"):
        evaluate.parse_pairs("10\t300\nAbel_Pacheco\tone\t4\n")


def test_each_fold_is_judged_by_the_threshold_of_the_others() -> None:
    same = np.tile([True] * 5 + [False] * 5, 10)
    distances = np.where(same, 0.5, 1.5).astype(np.float32)
    # In the last fold everyone is nearer: the others' threshold lets its impostors in.
    distances[90:] -= 1.0
    accuracies = evaluate.ten_fold(np.maximum(distances, 0.0), same)
    assert accuracies[:9].tolist() == [1.0] * 9
    assert accuracies[9] == 0.5


def test_missing_and_broken_lfw_name_the_option(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--data DIR"):
        evaluate.read_lfw(tmp_path)
    with tarfile.open(tmp_path / "lfw.tar", "w") as archive:
        entry = tarfile.TarInfo("pairs.txt")
        entry.size = len(PAIRS)
        archive.addfile(entry, io.BytesIO(PAIRS.encode()))
    with pytest.raises(BadInput, match="lacks 4 images of its 2 pairs"):
        evaluate.read_lfw(tmp_path)
