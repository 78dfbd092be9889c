"""What a ranking of quality is worth, on people it never saw: does it see each fault, and does refusing help?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from device.embed import Encoder
from device.ranker import QualityRanker
from firmware_config.face import FloatArray, ImageArray, distance
from trainer.data import Faces
from trainer.measuring.trial import embed_all
from trainer.quality.distortions import DISTORTIONS, LEVELS, distort

REFUSED_SHARES: Final = (0.0, 0.05, 0.1, 0.2)
"""Of the error-versus-reject curve. Grother and Tabassi 2007."""

Score = Callable[[ImageArray], FloatArray]


@dataclass(frozen=True)
class Judged:
    """srocc: by distortion, Spearman's rank correlation of score and level over all crops; within: the mean over each
    crop alone; refused: share at each level, 0 to LEVELS, that the door would refuse."""

    srocc: dict[str, float]
    within: dict[str, float]
    refused: dict[str, list[float]]


def judge(score_of: Score, crops: ImageArray, seed: int = 11) -> Judged:
    """crops: uint8[M, 112, 112, 3] of people not trained on."""
    random = np.random.default_rng(seed)
    levels = np.arange(LEVELS + 1)
    srocc, within, refused = {}, {}, {}
    for kind in DISTORTIONS:
        scores = np.stack(
            [score_of(np.stack([distort(crop, kind, int(level), random) for crop in crops])) for level in levels],
            axis=1,
        )
        srocc[kind] = float(spearmanr(np.tile(-levels, len(crops)), scores.reshape(-1)).statistic)
        within[kind] = float(np.mean([spearmanr(-levels, row).statistic for row in scores]))
        refused[kind] = [float(share) for share in np.mean(scores < 0, axis=0)]
    return Judged(srocc, within, refused)


def error_versus_reject(
    faces: Faces, encoder: Encoder, tau: float, score_of: Score, spoilt: bool, seed: int = 12
) -> dict[str, Any]:
    """FNMR when the worst 0, 5, 10 and 20 % of probes are refused by their score.

    faces: people not trained on; the first picture of each is the enrolment, the others are probes. spoilt: each
    probe gets a distortion and a level by chance, as a bad day at a door; else as it is. Beside the score: refused
    by chance, and the best that any score could do. Grother and Tabassi 2007.
    """
    random = np.random.default_rng(seed)
    crops = np.ascontiguousarray(faces.centre())
    enrolled, probes = _first_and_others(faces.identities)
    shown = crops[probes]
    if spoilt:
        kinds = tuple(DISTORTIONS)
        draws = zip(
            random.integers(len(kinds), size=len(shown)), random.integers(LEVELS + 1, size=len(shown)), strict=True
        )
        shown = np.stack(
            [distort(crop, kinds[kind], int(level), random) for crop, (kind, level) in zip(shown, draws, strict=True)]
        )
    missed = distance(embed_all(encoder.embed, crops[enrolled]), embed_all(encoder.embed, shown)) > tau
    by_score = np.argsort(score_of(shown), kind="stable")
    refused = [round(share * len(shown)) for share in REFUSED_SHARES]
    return {
        "probes": len(shown),
        "people": len(np.unique(faces.identities[probes])),
        "tau": tau,
        "refused": list(REFUSED_SHARES),
        "fnmr": [float(missed[by_score[count:]].mean()) for count in refused],
        "by_chance": float(missed.mean()),
        "at_best": [max(0.0, (float(missed.sum()) - count) / (len(shown) - count)) for count in refused],
    }


def measure_quality(quality: bytes, encoder: Encoder, tau: float, held_out: Faces) -> dict[str, Any]:
    """All of it for a quality.onnx, through the door's own code. held_out: people that neither network learned."""
    ranker = QualityRanker(quality)

    def score_of(crops: ImageArray) -> FloatArray:
        return np.concatenate([ranker.score(np.ascontiguousarray(crops[i : i + 64])) for i in range(0, len(crops), 64)])

    judged = judge(score_of, held_out.centre())
    return {
        "crops": len(held_out),
        "people": held_out.people,
        "srocc": judged.srocc,
        "srocc_within_a_crop": judged.within,
        "refused_at_level": judged.refused,
        "good_photographs": error_versus_reject(held_out, encoder, tau, score_of, spoilt=False),
        "spoilt_photographs": error_versus_reject(held_out, encoder, tau, score_of, spoilt=True),
    }


def sentence(found: dict[str, Any]) -> str:
    """A result for a person."""
    srocc = ", ".join(f"{kind} {value:.3f}" for kind, value in found["srocc"].items())
    lines = [
        f"quality: rank correlation with the level of {srocc}, on {found['crops']} crops of {found['people']} people."
    ]
    for name in ("good", "spoilt"):
        curve = found[f"{name}_photographs"]
        rates = ", ".join(
            f"{rate:.3f} without the worst {share:.0%}"
            for share, rate in zip(curve["refused"], curve["fnmr"], strict=True)
        )
        lines.append(f"{name} photographs: FNMR {rates}; {curve['probes']} probes.")
    return "\n".join(lines)


def _first_and_others(identities: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of each probe's enrolment, and of the probes."""
    _, first = np.unique(identities, return_index=True)
    probes = np.setdiff1d(np.arange(len(identities)), first)
    return first[identities[probes]], probes
