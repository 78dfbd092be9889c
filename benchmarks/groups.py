"""python -m benchmarks.groups --data DIR: false matches by group of people, of our encoder and of SFace side by side.

Both get their thresholds from the people who calibrate trainer/configs/door.toml, whom ours never saw, at the same
rates. Then strangers of FairFace are compared within each group, a sample of them: SFace takes its time. Once more ours
on those alone that the door's gate for pictures lets pass.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.__main__ import ROOT
from benchmarks.machine import machine
from benchmarks.peers import Peer, listed, ours, public
from device.detect import Detector
from device.detector_file import detector_model
from device.outfit import default_bundle
from device.quality import assess
from device.ranker import QualityRanker
from firmware_config.bundle import read_bundle
from firmware_config.face import FloatArray, ImageArray
from firmware_config.files import write_atomic
from trainer.config import load
from trainer.data import Faces
from trainer.images.shards import find_shards, read_shards
from trainer.measuring.groups import SHARDS, AtTau, false_match_rates, group_of
from trainer.measuring.metrics import pair_table, tau_at_fmr
from trainer.train import load_faces

FMRS: Final = (1e-2, 1e-3)
"""At which the calibration's wrong labels, which are the same for both, have little say."""

OTHER: Final = "SFace fp32"
SAMPLE: Final = 8000


def rows_of(peer: Peer, crops: ImageArray) -> FloatArray:
    """float32[N, D]. crops: uint8[N, 112, 112, 3] RGB."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(peer.embed, (np.ascontiguousarray(crop) for crop in crops))))


def passing(pictures: ImageArray, crops: ImageArray, quality: bytes) -> NDArray[np.int64]:
    """Rows of the pictures that a door would compare. pictures: uint8[N, 128, 128, 3] RGB; crops: of their middles."""
    detector, ranker = Detector(detector_model(), long_side=pictures.shape[1]), QualityRanker(quality)
    passed = []
    for row, (picture, crop) in enumerate(zip(pictures, crops, strict=True)):
        image = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), dtype=np.uint8)
        faces = detector.detect(image)
        if faces and assess(image, faces[0], np.ascontiguousarray(crop), ranker=ranker).reason is None:
            passed.append(row)
    return np.array(passed, dtype=np.int64)


def sample(folder: Path, count: int) -> tuple[Faces, list[str]]:
    """Images of FairFace by chance, seed 0, and their groups. Raises BadInput."""
    faces = read_shards(find_shards(folder, SHARDS))
    rows = np.sort(np.random.default_rng(0).permutation(len(faces))[:count]).astype(np.int64)
    chosen = faces.take(rows)
    return chosen, [group_of(key) for key in chosen.keys]


def said(name: str, images: int, found: Sequence[AtTau]) -> dict[str, Any]:
    """One row of the result."""
    return {
        "encoder": name,
        "images": images,
        "at": [{"wanted": fmr, **asdict(at)} for fmr, at in zip(FMRS, found, strict=True)],
    }


def line(row: dict[str, Any]) -> str:
    """A row for a person."""
    rates = "; ".join(
        f"{at['fmr']:.2%} for {at['wanted']:.1%}, by group {at['groups'][-1]['fmr']:.2%} ({at['groups'][-1]['group']}) "
        f"to {at['groups'][0]['fmr']:.2%} ({at['groups'][0]['group']})"
        for at in row["at"]
    )
    return f"{row['encoder']}, {row['images']} images: {rates}"


def main() -> int:
    """Prints and writes the results -> 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.groups", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the shards of CelebA and FairFace")
    parser.add_argument("--images", type=int, default=SAMPLE, help=f"of FairFace (default: {SAMPLE})")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/groups.json")
    args = parser.parse_args()
    bundle = read_bundle(default_bundle().read_bytes(), None)
    title, file = next(entry for entry in listed() if entry[0] == OTHER)
    faces, split = load_faces(load(ROOT / "trainer/configs/door.toml"), args.data)
    calibration = faces.take(split.calibration)
    del faces
    strangers, groups = sample(args.data, args.images)
    rows, passed = [], passing(strangers.pixels, strangers.centre(), bundle.quality or b"")
    for peer in (ours("Latchkey int8", bundle.onnx, bundle.manifest.licence), public(title, file)):
        impostor = pair_table(rows_of(peer, calibration.centre()), calibration.identities).impostor
        taus = [tau_at_fmr(impostor, fmr) for fmr in FMRS]
        embeddings = rows_of(peer, strangers.centre())
        rows.append(said(peer.name, len(embeddings), false_match_rates(embeddings, groups, taus)))
        if peer.name != OTHER:
            of_passed = false_match_rates(embeddings[passed], [groups[row] for row in passed], taus)
            rows.append(said(f"{peer.name}, what the door's gate lets pass", len(passed), of_passed))
    result = {"machine": machine(), "calibration_people": calibration.people, "rows": rows}
    write_atomic(args.out, (json.dumps(result, indent=1) + "\n").encode(), 0o644)
    print("\n".join(map(line, rows)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
