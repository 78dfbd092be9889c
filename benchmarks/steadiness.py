"""What the detector's unsteadiness does to the crop, beside the jitter that the trainer moves its crops by."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import jitter, peers
from benchmarks.faces import Shot
from device.align import align
from device.detect import Face
from firmware_config.face import CROP_SIZE, ImageArray
from trainer.config import load
from trainer.parts import Look

Detect = Callable[[ImageArray], list[Face]]
Values = NDArray[np.float64]

DOOR: Final = resources.files("trainer").joinpath("configs", "door.toml")
MOVED: Final = load(Path(str(DOOR))).augment or Look()
"""How far the default encoder's training turns, zooms and shifts its crops."""


def steadiness(
    shots: list[Shot], detect: Detect, peer: peers.Peer, other: list[Shot], seed: int
) -> dict[str, dict[str, Any]]:
    """By kind of change, how far YuNet's points and crop moved, and the share that the trainer's jitter covers.
    other: the same faces by the other detector, whose difference is a change too."""
    random = np.random.default_rng(seed)
    before = [peer.embed(peers.door_crop(shot)) for shot in shots]
    found: dict[str, dict[str, Any]] = {}
    looks: dict[str, Callable[[int], jitter.Moved | None]] = {
        name: (lambda i, change=change: jitter.moved(shots[i], detect, change, random))
        for name, change in jitter.CHANGES.items()
    }
    looks["the other detector"] = lambda i: jitter.between(shots[i].face.landmarks, other[i].face.landmarks)
    for name, look in looks.items():
        pairs = [(i, moved) for i in range(len(shots)) if (moved := look(i)) is not None]
        after = [peer.embed(align(shots[i].image, moved.landmarks)) for i, moved in pairs]
        found[name] = {
            "faces": len(pairs),
            "lost": len(shots) - len(pairs),
            **summary([moved for _, moved in pairs]),
            "distance": quantiles(
                [float(np.linalg.norm(before[i] - a)) for (i, _), a in zip(pairs, after, strict=True)]
            ),
        }
    return found


def summary(all_moved: list[jitter.Moved]) -> dict[str, Any]:
    """Median, 95th and 99th of a hundred of each kind of movement; shares within what MOVED draws from.

    covered: of the differences between two looks; covered_one: of one look's own error, taken to be 1/sqrt(2) of
    that, as when both looks err alike and independently.
    """
    turn, zoom = (np.abs([getattr(moved, name) for moved in all_moved]) for name in ("turn", "zoom"))
    shift = np.abs([moved.shift for moved in all_moved]).max(axis=1)
    return {
        "point_px": quantiles(np.concatenate([moved.points for moved in all_moved])),
        "turn_degrees": quantiles(turn),
        "zoom": quantiles(zoom),
        "shift_px": quantiles(shift),
        "covered": covered(turn, zoom, shift),
        "covered_one": covered(*(each / np.sqrt(2) for each in (turn, zoom, shift))),
    }


def covered(turn: Values, zoom: Values, shift: Values) -> dict[str, float]:
    """Shares within each of MOVED's limits, and within all three."""
    within = {
        "turn": turn <= MOVED.turn_degrees,
        "zoom": zoom <= MOVED.zoom,
        "shift": shift <= MOVED.shift * CROP_SIZE,
    }
    shares = {name: float(each.mean()) for name, each in within.items()}
    return {**shares, "all": float(np.logical_and.reduce(list(within.values())).mean())}


def quantiles(values: Any) -> dict[str, float]:
    """Rounded to the third decimal."""
    named = zip(("p50", "p95", "p99"), np.quantile(values, (0.5, 0.95, 0.99)), strict=True)
    return {name: round(float(value), 3) for name, value in named}
