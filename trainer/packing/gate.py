"""What must hold before a network leaves the workstation: the exported file says what was trained, in int8 too."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from firmware_config.calibration import Calibration
from firmware_config.errors import BadState
from firmware_config.face import CROP_SIZE, FloatArray, ImageArray
from trainer import data
from trainer.images.looks import move
from trainer.measuring.metrics import PairTable, all_distances, pair_table, true_accept_rate
from trainer.measuring.trial import embed_all
from trainer.parts import Look

MOST_LOST: Final = 0.002
"""TAR at FMR 1e-3 that int8 may lose against float32: a fifth of a point in a hundred."""

MOST_APART: Final = 1e-3
"""Between torch and onnxruntime in float32, of one component of a unit row: sums in another order are 1e-6 apart, a
layer that was exported wrongly is off by tenths."""


ROUNDING: Final = 1e-3
"""Of a distance, by which fp16 moves a threshold that was counted on few pairs."""

FMR: Final = 1e-3
"""At which int8 is held against float32."""

FEWEST_PAIRS: Final = 10_000
"""Genuine pairs to judge on: one of them is a twentieth of what may be lost. Of 630 (fourteen people with ten photos)
one would be 0.16 points, and two that rounding moves to and fro would decide."""

MOST_VIEWS: Final = 16
"""Of one crop."""

AGAIN: Final = Look(turn_degrees=0.0, zoom=0.0, shift=0.0, mirror=False)
"""As the door would cut the same face out of the camera's next picture: the landmarks are found a little elsewhere."""


def pairs_of(embed: Callable[[ImageArray], FloatArray], faces: data.Faces) -> PairTable:
    """All pairs of photos, to judge on.

    Where people are too few for FEWEST_PAIRS, each photo is looked at several times, cut out a little differently; two
    looks at one photo are no pair. The same looks for the same faces, whatever embeds them.
    """
    images = np.bincount(faces.identities)
    genuine = int((images * (images - 1) // 2).sum())
    views = min(MOST_VIEWS, math.ceil(math.sqrt(FEWEST_PAIRS / max(1, genuine))))
    if views == 1:
        return pair_table(embed_all(embed, faces.centre()), faces.identities)
    random = np.random.default_rng(0)
    crops = np.stack([move(p, CROP_SIZE, AGAIN, random, data.BORDER) for p in faces.pixels for _ in range(views)])
    photos, people = np.repeat(np.arange(len(faces)), views), np.repeat(faces.identities, views)
    rows, columns = np.triu_indices(len(photos), k=1)
    apart = photos[rows] != photos[columns]
    rows, columns = rows[apart], columns[apart]
    distances = all_distances(embed_all(embed, crops))[rows, columns]
    same = people[rows] == people[columns]
    return PairTable(distances[same], distances[~same])


def tar_of(pairs: PairTable) -> float:
    """TAR at FMR 1e-3, 0 to 1."""
    return true_accept_rate(pairs.genuine, pairs.impostor, FMR)


def check_int8(tar_float: float, tar_int8: float) -> None:
    """tar_float, tar_int8: at FMR 1e-3, on the same people, 0 to 1. Raises BadState."""
    # Written so that a NaN fails too.
    if not tar_float - tar_int8 <= MOST_LOST + 1e-9:
        raise BadState(
            f"int8 loses {100 * (tar_float - tar_int8):.2f} points of TAR at FMR 1e-3 ({tar_float:.4f} to "
            f"{tar_int8:.4f}); at most {100 * MOST_LOST:.1f} may go. Train it for longer, or quantise it while it "
            "trains; nothing was written."
        )


def check_half(own: Calibration, across: Calibration) -> None:
    """own: int8's, of its templates and its probes; across: of its templates and the fp16 variant's probes; of the same
    people. Raises BadState."""
    for ours, theirs in zip(own.operating_points, across.operating_points, strict=True):
        # Written so that a NaN fails too.
        if not theirs.tau >= ours.tau_low - ROUNDING:
            raise BadState(
                f"Compared with int8's templates, the fp16 variant has its FMR of {ours.fmr:g} at a distance of "
                f"{theirs.tau:.3f} already; int8 at {ours.tau:.3f} ({ours.tau_low:.3f} to {ours.tau_high:.3f}). A "
                "door's thresholds would let more strangers in. Bundle without --half; nothing was written."
            )
    tau = own.tau_at(FMR)
    more = own.genuine.share_at_most(tau) - across.genuine.share_at_most(tau)
    if not more <= MOST_LOST + 1e-9:
        raise BadState(
            f"Compared with int8's templates, the fp16 variant turns {100 * more:.2f} points more of the members away "
            f"at FMR {FMR:g}; at most {100 * MOST_LOST:.1f} may be. Bundle without --half; nothing was written."
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
