"""How often strangers of one group of people are taken for each other, beside strangers at large.

At a door most people may be of one group, and there a threshold that was made with everybody is looser, or stricter,
than it says. Grother, Ngan and Hanaoka 2019 (NIST IR 8280) call this the false match rate's differential. Misses have
one, too; they are not measured here, since they take several images of a person and FairFace has one. It shows all
ages, and small children are alike to face encoders: among adults alone it happens less often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from device.embed import Encoder
from firmware_config.bundle import read_bundle
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray
from trainer.images.shards import find_shards, read_shards
from trainer.measuring import figures
from trainer.measuring.intervals import BOOTSTRAPS, Interval, drawn
from trainer.measuring.metrics import across_distances
from trainer.measuring.trial import embed_all

SHARDS: Final = "faces-fairface"
"""Of the files' names: `ff-GROUP-SEX-NUMBER`, one image a person."""

RATES: Final = (1e-2, 1e-3, 1e-4)
"""False match rates whose thresholds are looked at. Further out it would be people who are there twice that count:
nearly every image of FairFace shows another person, not every one."""

BLOCK: Final = 512
"""Rows compared with all others at a time: 80 MB of distances for FairFace."""

FEWEST_IMAGES: Final = 2

Pairs = npt.NDArray[np.int64]
"""int64[P, 2], rows."""


@dataclass(frozen=True)
class GroupRate:
    """False matches at one threshold among the images of one group, each of another person.

    fmr: the share of its pairs that match; interval: 95 %, by images. pairs: all of them; matches: those that match.
    """

    group: str
    images: int
    pairs: int
    matches: int
    fmr: float
    interval: Interval


@dataclass(frozen=True)
class AtTau:
    """fmr: of all pairs of all images. groups: the worst first."""

    tau: float
    pairs: int
    fmr: float
    groups: list[GroupRate]


def by_group(bundle: bytes, folder: Path) -> dict[str, Any]:
    """False matches of a bundle's int8 encoder at its own thresholds for RATES, by group and sex: JSON.

    folder: with FairFace's shards. Raises BadInput, naming the option when they are not there, and BundleRefused.
    """
    opened = read_bundle(bundle, trusted=None)
    encoder = Encoder(opened.onnx, threads=2)
    faces = read_shards(find_shards(folder, SHARDS))
    groups = [group_of(key) for key in faces.keys]
    embeddings = embed_all(encoder.embed, faces.centre())
    taus = [opened.calibration.tau_at(rate) for rate in RATES]
    found = false_match_rates(embeddings, groups, taus)
    return {
        "protocol": "groups",
        "subject": encoder.encoder_id,
        "images": len(faces),
        "at": [{"wanted": rate, **asdict(at)} for rate, at in zip(RATES, found, strict=True)],
    }


def lines(result: dict[str, Any]) -> list[str]:
    """What `by_group` found, a sentence for each threshold."""
    return [
        f"At tau {at['tau']:.3f}, for FMR {_percent(at['wanted'])}, {_percent(at['fmr'])} of {at['pairs']:,} pairs "
        f"match; by group, with 95 %: {', '.join(map(_in_words, at['groups']))}."
        for at in result["at"]
    ]


def plots(result: dict[str, Any]) -> list[Figure]:
    """A figure for each threshold."""
    return [
        figures.rates(
            {each["group"]: (each["fmr"], each["interval"]) for each in at["groups"]},
            "false match rate within the group",
            f"tau {at['tau']:.3f}, calibrated for FMR {at['wanted']:g}",
            at["fmr"],
        )
        for at in result["at"]
    ]


def _in_words(rate: dict[str, Any]) -> str:
    low, high = rate["interval"]
    return f"{rate['group']} {_percent(rate['fmr'])} ({_percent(low)} to {_percent(high)})"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def group_of(key: str) -> str:
    """Of a shard's key, with the sex. Raises BadInput."""
    parts = key.split("-")
    if len(parts) != 4:
        raise BadInput(f"{key} names no group: keys of {SHARDS}-*.tar are ff-GROUP-SEX-NUMBER.")
    return f"{parts[1]} {parts[2]}"


def false_match_rates(embeddings: FloatArray, groups: Sequence[str], taus: Sequence[float]) -> list[AtTau]:
    """embeddings: float32[N, D], unit rows, each of another person; groups: N names; taus: distances, 0 to 2 -> one
    entry for each, in this order. Raises BadInput where a group has one image, or all images are of one group.
    """
    names, number_of = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.bincount(number_of)
    if len(names) < 2 or counts.min() < FEWEST_IMAGES:
        raise BadInput(
            f"Rates by group take two groups or more of {FEWEST_IMAGES} images or more each; here are "
            f"{', '.join(f'{name}: {count}' for name, count in zip(names, counts, strict=True))}."
        )
    pairs, distances = pairs_within(embeddings, max(taus))
    same = number_of[pairs[:, 0]] == number_of[pairs[:, 1]]
    found = []
    for tau in taus:
        matching = distances <= tau
        rates = [
            _rate(str(name), np.flatnonzero(number_of == number), pairs[matching & same])
            for number, name in enumerate(names)
        ]
        total = _pairs_of(len(embeddings))
        rates.sort(key=lambda rate: -rate.fmr)
        found.append(AtTau(tau, total, float(matching.sum() / total), rates))
    return found


def pairs_within(embeddings: FloatArray, tau: float) -> tuple[Pairs, FloatArray]:
    """The pairs of rows whose distance is at most tau, each once, and their distances, float32[P]."""
    pairs, distances = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for first in range(0, len(embeddings), BLOCK):
        block = across_distances(embeddings[first : first + BLOCK], embeddings[first:])
        row, column = np.nonzero(np.triu(block <= tau, k=1))
        pairs.append(np.stack([row + first, column + first], axis=1).astype(np.int64))
        distances.append(block[row, column])
    return np.concatenate(pairs), np.concatenate(distances)


def _rate(group: str, rows: npt.NDArray[np.int64], matching: Pairs) -> GroupRate:
    """matching: pairs of one group each, this one's among them."""
    own = matching[np.isin(matching[:, 0], rows)]
    pairs = _pairs_of(len(rows))
    return GroupRate(
        group, len(rows), pairs, len(own), len(own) / pairs, _by_image(np.searchsorted(rows, own), len(rows))
    )


def _by_image(matching: Pairs, images: int, seed: int = 0) -> Interval:
    """95 %, from resamples of images as intervals.by_identity draws people. matching: pairs of 0 to images - 1."""
    random = np.random.default_rng(seed)
    first, second = matching.T
    rates = np.full(BOOTSTRAPS, np.nan)
    for number in range(BOOTSTRAPS):
        copies = drawn(random, images).astype(np.float64)
        # An image drawn twice is no pair with itself; where one was drawn every time, there is none.
        if pairs := (copies.sum() ** 2 - (copies**2).sum()) / 2:
            rates[number] = (copies[first] * copies[second]).sum() / pairs
    low, high = np.nanpercentile(rates, [2.5, 97.5])
    return float(low), float(high)


def _pairs_of(images: int) -> int:
    return images * (images - 1) // 2
