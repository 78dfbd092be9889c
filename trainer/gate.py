"""What must hold before a network leaves the workstation: the exported file says what was trained, in int8 too."""

from __future__ import annotations

from typing import Final

import numpy as np

from firmware_config.errors import BadState
from firmware_config.face import FloatArray

MOST_LOST: Final = 0.002
"""TAR at FMR 1e-3 that int8 may lose against float32: a fifth of a point in a hundred."""

MOST_APART: Final = 1e-3
"""Between torch and onnxruntime in float32, of one component of a unit row: sums in another order are 1e-6 apart, a
layer that was exported wrongly is off by tenths."""


def check_int8(tar_float: float, tar_int8: float) -> None:
    """tar_float, tar_int8: at FMR 1e-3, on the same people, 0 to 1. Raises BadState."""
    # Written so that a NaN fails too.
    if not tar_float - tar_int8 <= MOST_LOST + 1e-9:
        raise BadState(
            f"int8 loses {100 * (tar_float - tar_int8):.2f} points of TAR at FMR 1e-3 ({tar_float:.4f} to "
            f"{tar_int8:.4f}); at most {100 * MOST_LOST:.1f} may go. Train it for longer, or quantise it while it "
            "trains; nothing was written."
        )


def check_export(torch_rows: FloatArray, onnx_rows: FloatArray) -> None:
    """float32[N, D] each, of the same crops. Raises BadState when the exported graph computes something else."""
    apart = float(np.max(np.abs(torch_rows - onnx_rows))) if torch_rows.shape == onnx_rows.shape else float("inf")
    if not apart <= MOST_APART:
        raise BadState(
            f"The exported network differs from the trained one by {apart:.4f} in onnxruntime, at most {MOST_APART} "
            "is rounding. An operator was exported wrongly; nothing was written."
        )


def check_compatible(cross_tar: float, old_tar: float) -> None:
    """cross_tar: of the older encoder's templates against the newer one's probes; old_tar: of the older encoder with
    itself; at FMR 1e-3, on the same pictures, 0 to 1. Raises BadState. Shen, Xiong, Xia, Soatto 2020, the criterion."""
    # Written so that a NaN fails too.
    if not cross_tar >= old_tar:
        raise BadState(
            f"Templates of the older encoder against probes of this one have a TAR of {cross_tar:.4f} at FMR 1e-3; the "
            f"older encoder with itself has {old_tar:.4f}. A door that kept its list would get worse, so this is not "
            "declared. Train with a higher weight under [distill.old], or bundle without --compatible-with: the page "
            "makes everybody's templates anew. Nothing was written."
        )
