"""What int8 lost, or an exporter changed, does not leave the workstation."""

from __future__ import annotations

import numpy as np
import pytest

from firmware_config.errors import BadState
from trainer import gate


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
