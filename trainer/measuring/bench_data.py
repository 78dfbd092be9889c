"""How many crops a second one core makes ready: from shards as they are, and as a door's camera sees them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from firmware_config.face import CROP_SIZE, ImageArray
from trainer.data import BORDER, Faces
from trainer.encoders import normalise
from trainer.images.looks import look, plain
from trainer.images.shards import find_shards, read_shards
from trainer.measuring import figures
from trainer.measuring.report import plots_report
from trainer.parts import Look

BATCH = 64


def everything() -> Look:
    """Every step on every image, those too that a door's defaults leave out."""
    shares = {name: 1.0 for name in Look.model_fields if name.endswith("_share")}
    return Look.model_validate({**shares, "shear_degrees": 5.0, "elastic": 0.02})


def bench(folder: Path, crops: int, how: Look | None) -> dict[str, Any]:
    """Crops a second of processor time, so that a busy machine does not spoil it: decoding shards, the network's input
    from them without and with a door's looks, and decoding and input together. how: None for every step on every
    image. Raises BadInput."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    paths = find_shards(folder, "faces-celeba")
    decode_s, faces = _timed(lambda: read_shards(paths, crops))
    changed = how or everything()
    off_s, _ = _timed(lambda: _inputs(faces, lambda crop, _: plain(crop, CROP_SIZE, BORDER)))
    default_s, _ = _timed(lambda: _inputs(faces, lambda crop, random: look(crop, CROP_SIZE, Look(), random, BORDER)))
    on_s, _ = _timed(lambda: _inputs(faces, lambda crop, random: look(crop, CROP_SIZE, changed, random, BORDER)))
    count = len(faces)
    return {
        "crops": count,
        "decode": round(count / decode_s),
        "off": round(count / off_s),
        "from_shards_off": round(count / (decode_s + off_s)),
        "defaults": round(count / default_s),
        "on": round(count / on_s),
        "from_shards_on": round(count / (decode_s + on_s)),
        "on_is": "the configuration's" if how else "every step on every image",
    }


def sentence(result: dict[str, Any]) -> str:
    """For a person."""
    return (
        f"Crops a second of one core, over {result['crops']}: {result['from_shards_off']} from shards with the looks "
        f"off (decoding {result['decode']}, input {result['off']}); {result['from_shards_on']} with them on "
        f"({result['on_is']}; {result['on']} of decoded crops); {result['defaults']} of decoded crops with a door's "
        "defaults."
    )


def page_of(result: dict[str, Any]) -> str:
    """The same as a report."""
    named = {
        "decoding shards": result["decode"],
        "input, looks off": result["off"],
        "from shards, looks off": result["from_shards_off"],
        "input, a door's looks": result["defaults"],
        "input, " + result["on_is"]: result["on"],
        "from shards, " + result["on_is"]: result["from_shards_on"],
    }
    plots = [figures.amounts(named, "crops a second of one core", f"{result['crops']} crops")]
    return plots_report("Data loading", [sentence(result)], plots, result)


def _inputs(faces: Faces, change: Callable[[ImageArray, np.random.Generator], ImageArray]) -> None:
    for start in range(0, len(faces), BATCH):
        rows = range(start, min(len(faces), start + BATCH))
        batch = np.stack([change(faces.pixels[row], np.random.default_rng([0, start, row])) for row in rows])
        normalise(torch.from_numpy(batch)).contiguous(memory_format=torch.channels_last)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result
