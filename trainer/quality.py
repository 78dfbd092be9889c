"""The ranking of quality becomes the door's quality.onnx: trained for one encoder, scaled, quantised, measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from device.embed import Encoder
from firmware_config.bundle import Bundle, read_bundle
from firmware_config.errors import BadInput
from firmware_config.face import ImageArray
from trainer import data, export
from trainer.augment import normalise
from trainer.quality_measures import measure_quality, sentence
from trainer.ranking import RankingNetwork, RankingRun, score, train_ranking

REFUSED_GOOD: Final = 0.005
"""Share of good photographs, of people never trained on, that score below 0 and so are refused at the door."""

RANGE_CROPS: Final = 512
"""Training crops that set the ranges of int8 activations, each with one of its distortions."""

OUTPUT: Final = "quality"


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
    onnx = to_quality_onnx(network, np.ascontiguousarray(crops[split.calibration]), training[np.sort(chosen)])
    found = measure_quality(onnx, encoder, read.calibration.tau_at(1e-3), faces.take(split.validation))
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
    faces = data.read_shards(data.shards(folder, prefix))
    return faces, data.split_people(faces.identities, seed, *people)


class QualityGraph(nn.Module):
    """crops: uint8[N, 112, 112, 3] RGB -> float32[N]: 0 the worst that a door takes, 1 the median good photograph."""

    def __init__(self, network: RankingNetwork, worst: float, median: float) -> None:
        super().__init__()
        self.network = network
        self.worst = worst
        self.span = median - worst

    def forward(self, crops: Tensor) -> Tensor:
        """crops: uint8[N, 112, 112, 3] RGB -> float32[N]."""
        return (self.network(normalise(crops)) - self.worst) / self.span  # type: ignore[no-any-return]


def to_quality_onnx(network: RankingNetwork, good: ImageArray, ranges: ImageArray) -> bytes:
    """-> quality.onnx in int8.

    good: uint8[M, 112, 112, 3], good photographs of people never trained on, which set the scale. ranges: crops to
    train on, which set the ranges of int8 activations. Raises BadInput when the network tells nothing apart.
    """
    scores = score(network, good)
    worst, median = float(np.quantile(scores, REFUSED_GOOD)), float(np.median(scores))
    if not median > worst:
        raise BadInput("The ranking gives every picture the same score; train it for longer.")
    return export.quantise(export.graph_to_onnx(QualityGraph(network, worst, median), OUTPUT), ranges)
