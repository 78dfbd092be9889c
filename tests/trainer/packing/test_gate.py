"""What int8 lost, or an exporter changed, does not leave the workstation."""

from __future__ import annotations

import numpy as np
import pytest

from firmware_config.errors import BadState
from firmware_config.face import FloatArray, ImageArray
from trainer import data
from trainer.measuring.metrics import pair_table, true_accept_rate
from trainer.packing import gate


@pytest.mark.parametrize("tar_int8", [0.62, 0.60, 0.598])
def test_a_fifth_of_a_point_may_go(tar_int8: float) -> None:
    gate.check_int8(0.60, tar_int8)


@pytest.mark.parametrize("tar_int8", [0.5979, 0.0, float("nan")])
def test_more_than_that_is_refused_with_both_numbers(tar_int8: float) -> None:
    with pytest.raises(BadState, match=r"0\.6000 to"):
        gate.check_int8(0.60, tar_int8)


def test_sums_in_another_order_pass_and_another_answer_does_not() -> None:
    rows = np.random.default_rng(0).normal(size=(4, 128)).astype(np.float32)
    gate.check_export(rows, rows + np.float32(1e-6))
    for wrong in (rows + np.float32(0.01), rows * np.float32("nan"), rows[:, :64]):
        with pytest.raises(BadState, match="differs from the trained one"):
            gate.check_export(rows, wrong)


def faces_of(people: int, photos: int) -> data.Faces:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (people * photos, data.SHARD_SIZE, data.SHARD_SIZE, 3), dtype=np.uint8)
    identities = np.repeat(np.arange(people), photos)
    return data.Faces(pixels, identities, tuple(f"{row}" for row in range(len(identities))))


def mean_colours(crops: ImageArray) -> FloatArray:
    """An encoder that rounding and a crop's place hardly move: the same photo gives nearly the same row."""
    rows = crops.reshape(len(crops), 16, -1).mean(axis=2).astype(np.float32) - np.float32(127.5)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def test_few_people_are_looked_at_until_a_pair_is_a_hundredth_of_a_point() -> None:
    faces = faces_of(people=4, photos=10)  # 180 genuine pairs, 64 times as many with eight looks at each photo
    pairs = gate.pairs_of(mean_colours, faces)
    assert len(pairs.genuine) == 180 * 64
    # Noise has nothing in common but its photo: if two looks at one photo were a pair, many would match.
    assert gate.tar_of(pairs) < 0.01
    assert np.array_equal(gate.pairs_of(mean_colours, faces).genuine, pairs.genuine)


def test_many_pairs_are_judged_on_their_crops_as_they_are() -> None:
    faces = faces_of(people=2, photos=101)
    wanted, pairs = pair_table(mean_colours(faces.centre()), faces.identities), gate.pairs_of(mean_colours, faces)
    assert len(pairs.genuine) == 10_100
    assert np.array_equal(pairs.impostor, wanted.impostor)
    assert gate.tar_of(pairs) == true_accept_rate(wanted.genuine, wanted.impostor, 1e-3)
