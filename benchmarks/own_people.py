"""python -m benchmarks.own_people CROPS: what tuning the default encoder on a few people does for others."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from device.embed import Encoder
from firmware_config.files import write_atomic
from trainer import data, export
from trainer.config import Config, load
from trainer.loop.run import begin_network
from trainer.measuring.metrics import PairTable, equal_error_rate
from trainer.packing import gate
from trainer.packing.bundling import RANGE_CROPS, REFIT_CROPS, scores
from trainer.packing.refit import refit
from trainer.train import load_faces, train

ROOT: Final = Path(__file__).parents[1]
CONFIG: Final = ROOT / "trainer/configs/own-people.toml"
RESULTS: Final = ROOT / "benchmarks/results/own-people.json"


def rates(pairs: PairTable) -> dict[str, float]:
    """EER and TAR at FMR 1e-3, 0 to 1."""
    return {"eer": equal_error_rate(pairs.genuine, pairs.impostor), "tar_1e-3": gate.tar_of(pairs)}


def measure(config: Config, crops: Path) -> dict[str, Any]:
    """One split: the network before and after the training, in float32 and int8, on everybody held out."""
    faces, split = load_faces(config, crops)
    held_out = data.join(faces.take(split.validation), faces.take(split.calibration))
    with tempfile.TemporaryDirectory() as folder:
        tuned = train(config, faces, split, Path(folder), say=lambda _line: None).result.eval()
    random = np.random.default_rng(config.seed)
    chosen = random.choice(split.train, min(REFIT_CROPS, len(split.train)), replace=False)
    seen = np.ascontiguousarray(faces.centre()[np.sort(chosen)])
    found: dict[str, Any] = {"seed": config.seed, "people": held_out.people}
    for name, network in (("before", begin_network(config)[0].eval()), ("after", tuned)):
        ranges = seen[:RANGE_CROPS]
        int8 = export.quantise(export.to_onnx(refit(network, ranges, seen), mirrored=False), ranges)
        for kind, onnx in (("float32", export.to_onnx(network, mirrored=False)), ("int8", int8)):
            encoder = Encoder(onnx, config.threads)
            pairs = gate.pairs_of(encoder.embed, held_out)
            found["genuine_pairs"] = len(pairs.genuine)
            found[f"{name}_{kind}"] = {**rates(pairs), "one_look_tar_1e-3": scores(encoder, held_out)["tar_1e-3"]}
    return found


def main() -> None:
    """Prints a line for each split and writes them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crops", type=Path, help="of latchkey-trainer align")
    parser.add_argument("--seeds", default="0,1,2,3", help="splits (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    config = load(CONFIG)
    config = config.model_copy(update={"start": str(ROOT / config.start)})
    lines = []
    for seed in args.seeds.split(","):
        lines.append(measure(config.model_copy(update={"seed": int(seed)}), args.crops))
        print(json.dumps(lines[-1]), flush=True)
    write_atomic(args.out, json.dumps(lines, indent=1).encode(), 0o644)


if __name__ == "__main__":
    main()
