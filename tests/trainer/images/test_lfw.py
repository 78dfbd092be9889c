"""LFW is read and judged as its authors say."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from firmware_config.errors import BadInput
from trainer.images import lfw

PAIRS = "10\t300\nAbel_Pacheco\t1\t4\nAbdel_Madi_Shabneh\t1\tDean_Barker\t1\n"


def test_pairs_of_one_and_of_two_people() -> None:
    assert lfw.parse_pairs(PAIRS) == [
        ("Abel_Pacheco_0001", "Abel_Pacheco_0004"),
        ("Abdel_Madi_Shabneh_0001", "Dean_Barker_0001"),
    ]


def test_a_line_that_is_no_pair_is_named() -> None:
    with pytest.raises(BadInput, match="Line 2"):
        lfw.parse_pairs("10\t300\nAbel_Pacheco\tone\t4\n")


def test_each_fold_is_judged_by_the_threshold_of_the_others() -> None:
    same = np.tile([True] * 5 + [False] * 5, 10)
    distances = np.where(same, 0.5, 1.5).astype(np.float32)
    # In the last fold everyone is nearer: the others' threshold lets its impostors in.
    distances[90:] -= 1.0
    accuracies = lfw.ten_fold(np.maximum(distances, 0.0), same)
    assert accuracies[:9].tolist() == [1.0] * 9
    assert accuracies[9] == 0.5


def test_missing_and_broken_lfw_name_the_option(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--data DIR"):
        lfw.read_lfw(tmp_path)
    with tarfile.open(tmp_path / "lfw.tar", "w") as archive:
        entry = tarfile.TarInfo("pairs.txt")
        entry.size = len(PAIRS)
        archive.addfile(entry, io.BytesIO(PAIRS.encode()))
    with pytest.raises(BadInput, match="lacks 4 images of its 2 pairs"):
        lfw.read_lfw(tmp_path)


def test_an_archive_cut_short_is_not_whole(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        entry = tarfile.TarInfo("pairs.txt")
        entry.size = 4000
        archive.addfile(entry, io.BytesIO(b"x" * 4000))
    (tmp_path / "lfw.tar").write_bytes(whole.getvalue()[:2000])
    with pytest.raises(BadInput, match="not a whole archive"):
        lfw.read_lfw(tmp_path)
