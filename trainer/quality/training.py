"""The ranking of quality becomes the door's quality.onnx: trained for one encoder, scaled, quantised, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.isotonic import IsotonicRegression
from torch import Tensor, nn

from device.embed import Encoder
from firmware_config.bundle import Bundle, read_bundle
from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from trainer import data, export
from trainer.encoders import normalise
from trainer.images.shards import find_shards, read_shards
from trainer.quality.distortions import DISTORTIONS
from trainer.quality.measures import measure_quality, sentence
from trainer.quality.ranking import RankingNetwork, RankingRun, ladder, score, train_ranking

WORST_DRIFT: Final = 0.5
"""Of tau at FMR 1e-3: a picture whose faults alone move it that far has used up half of the room between a person and
others. There the scale has its 0, and the door's gate."""

SCALE_CROPS: Final = 240
"""Of people never trained on, with every distortion at every level: 7,200 pictures set the scale."""

RANGE_CROPS: Final = 512
"""Training crops that set the ranges of int8 activations, each with one of its distortions."""

OUTPUT: Final = "quality"


def remeasure_quality(bundle: bytes, onnx: bytes, folder: Path, say: Callable[[str], None] = print) -> dict[str, Any]:
    """What a quality.onnx that was made for an earlier encoder is worth beside this one. Raises as `make_quality`."""
    read = read_bundle(bundle, trusted=None)
    faces, split = _people_of(read, folder)
    found = measure_quality(onnx, Encoder(read.onnx), read.calibration.tau_at(1e-3), faces.take(split.validation))
    say(sentence(found))
    return found


def make_quality(
    bundle: bytes, folder: Path, steps: int, say: Callable[[str], None] = print
) -> tuple[bytes, dict[str, Any]]:
    """-> quality.onnx for a bundle's encoder, and what it is worth.

    folder: of the shards that the encoder was trained on; who calibrated or validated it stays a stranger to the
    ranking too. Raises BadInput, BundleRefused.
    """
    read = read_bundle(bundle, trusted=None)
    encoder = Encoder(read.onnx)
    faces, split = _people_of(read, folder)
    crops = faces.centre()
    training = np.ascontiguousarray(crops[split.train])
    how = RankingRun(steps=steps)
    network = train_ranking(training, encoder, how, say)
    chosen = np.random.default_rng(how.seed).choice(len(training), min(RANGE_CROPS, len(training)), replace=False)
    tau = read.calibration.tau_at(1e-3)
    good = np.ascontiguousarray(crops[split.calibration])
    onnx = to_quality_onnx(network, scale(network, good, encoder, tau), training[np.sort(chosen)])
    found = measure_quality(onnx, encoder, tau, faces.take(split.validation))
    say(sentence(found))
    return onnx, found


def _people_of(bundle: Bundle, folder: Path) -> tuple[data.Faces, data.Split]:
    try:
        config = bundle.manifest.training["config"]
        seed, wanted = int(config["seed"]), config["data"]
        people = int(wanted["calibration_people"]), int(wanted["validation_people"])
        prefix = str(wanted["named"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            "The bundle does not say how its people were split, so nobody is known to be a stranger."
        ) from error
    faces = read_shards(find_shards(folder, prefix))
    split = data.split_people(faces.identities, seed, *people)
    # The split is drawn anew: who calibrated then says whether it is the same.
    if faces.take(split.calibration).fingerprint()[: data.KEYS_SHOWN] not in bundle.calibration.source:
        raise BadInput(
            f"The people in {folder} are not those whom the bundle was calibrated with, so nobody is known to be a "
            "stranger to its encoder. Name the shards that it was made from with --data."
        )
    return faces, split


@dataclass(frozen=True)
class Scale:
    """Scores of the bare network: of the worst picture that a door shall take, and of the median good photograph."""

    worst: float
    median: float


class QualityGraph(nn.Module):
    """crops: uint8[N, 112, 112, 3] RGB -> float32[N]: 0 the worst that a door takes, 1 the median good photograph."""

    def __init__(self, network: RankingNetwork, ends: Scale) -> None:
        super().__init__()
        self.network = network
        self.worst = ends.worst
        self.span = ends.median - ends.worst

    def forward(self, crops: Tensor) -> Tensor:
        """crops: uint8[N, 112, 112, 3] RGB -> float32[N]."""
        return (self.network(normalise(crops)) - self.worst) / self.span  # type: ignore[no-any-return]


def scale(network: RankingNetwork, good: ImageArray, encoder: Encoder, tau: float, seed: int = 13) -> Scale:
    """good: uint8[M, 112, 112, 3], good photographs of people never trained on; tau: the encoder's at FMR 1e-3.

    The drift of spoilt pictures falls with their score: an isotonic regression says where it is WORST_DRIFT of tau.
    Raises BadInput when the network tells nothing apart. Barlow et al. 1972.
    """
    random = np.random.default_rng(seed)
    rows = random.choice(len(good), min(SCALE_CROPS, len(good)), replace=False)
    ladders = [ladder(good[row], kind, encoder, random) for row in rows for kind in DISTORTIONS]
    scores = score(network, np.concatenate([each.pixels for each in ladders]))
    drift = np.concatenate([each.drift for each in ladders])
    fitted = IsotonicRegression(increasing=False, out_of_bounds="clip").fit(scores, drift)
    grid = np.linspace(float(scores.min()), float(scores.max()), 2001)
    too_far = fitted.predict(grid) > WORST_DRIFT * tau
    median = float(np.median(score(network, good)))
    if too_far.all() or not median > (worst := float(grid[int(too_far.sum())])):
        raise BadInput("The ranking does not tell good pictures from bad ones; train it for longer.")
    return Scale(worst, median)


def to_quality_onnx(network: RankingNetwork, ends: Scale, ranges: ImageArray) -> bytes:
    """-> quality.onnx in int8. ranges: crops to train on, which set the ranges of int8 activations."""
    return export.quantise(export.graph_to_onnx(QualityGraph(network, ends), OUTPUT), ranges)
