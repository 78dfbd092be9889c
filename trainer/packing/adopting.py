"""A public encoder -> a bundle, as it was published: no weight of it is changed, so no door has to wait for a training.

The encoder that our trainer makes is small, and behind those that teach it. Where a board has the time, and their
licence fits, a door may run one of them (docs/adr/0023).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from device.embed import Encoder
from firmware_config.bundle import MAX_BUNDLE_BYTES
from firmware_config.errors import BadInput
from firmware_config.face import EMBEDDING_SIZE, FloatArray
from trainer import data, export
from trainer.config import Config, TeacherFile
from trainer.packing import gate
from trainer.packing.assembling import Made, Origin, assemble, source_of
from trainer.packing.bundling import scores
from trainer.teaching.teachers import OwnPixels, Teacher, load_teacher, network_of
from trainer.terms import terms

TURNING_CROPS: Final = 4096
"""That say which 128 directions of a wider embedding matter: 32 for each."""


class AdoptedGraph(nn.Module):
    """An encoder with everything of its own around it.

    crops: uint8[N, 112, 112, 3] RGB -> float32[N, 128], unit rows. turn: float32[D, 128] from its D numbers.
    """

    def __init__(self, file: TeacherFile, network: nn.Module, turn: FloatArray | None) -> None:
        super().__init__()
        self.pixels = OwnPixels(file)
        self.network = network
        self.turn = None if turn is None else nn.Buffer(torch.from_numpy(turn))

    def forward(self, crops: Tensor) -> Tensor:
        """As the class says."""
        rows: Tensor = functional.normalize(self.network(self.pixels(crops.permute(0, 3, 1, 2).float())))
        return rows if self.turn is None else functional.normalize(rows @ self.turn)


def adopt(
    config: Config,
    name: str,
    faces: data.Faces,
    split: data.Split,
    version: str,
    results: dict[str, Any],
    say: Callable[[str], None] = print,
    mend: Callable[[data.Faces], data.Faces] = lambda faces: faces,
    half: bool = False,
    cache_dir: Path | None = None,
) -> bytes:
    """-> an unsigned bundle of the encoder that `config` calls its teacher `name`, in float32.

    faces, split: of the configuration; its training people say which directions matter where the encoder has more than
    128 numbers. results: evaluations, for the model card. mend, half: as for make_bundle.

    Raises BadInput for a name that is no teacher's and an encoder larger than a bundle, LostLink when it cannot be
    fetched, BadState when the exported graph says something else than the encoder.
    """
    file = next((each for each in config.teacher if each.name == name), None)
    if file is None:
        known = ", ".join(each.name for each in config.teacher) or "none"
        raise BadInput(f"{config.name} has no teacher {name}; it has {known}. Write a [[teacher]] for it.")
    teacher = load_teacher(file, cache_dir, config.threads, exact=True)
    training = faces.take(split.train[:: max(1, len(split.train) // TURNING_CROPS)])
    turn = turned(teacher, training)
    onnx = export.graph_to_onnx(AdoptedGraph(file, network_of(file, cache_dir), turn), export.OUTPUT)
    say(f"exported: {teacher.numbers} numbers a face, {len(onnx)} bytes in float32")
    if len(onnx) * (1.5 if half else 1) > MAX_BUNDLE_BYTES:
        raise BadInput(f"{name} has {len(onnx)} bytes; a bundle holds {MAX_BUNDLE_BYTES}. A door wants a smaller one.")
    encoder = Encoder(onnx, threads=2)
    inputs = export.golden_inputs()
    said = teacher.say(inputs)
    gate.check_export(said if turn is None else _unit(said @ turn), encoder.embed(inputs))

    validation, calibrating = mend(faces.take(split.validation)), mend(faces.take(split.calibration))
    kept = {"float32": scores(encoder, validation)}
    say(f"validation: {json.dumps(kept)}")
    return assemble(
        Made(onnx, onnx),
        calibrating,
        source_of(
            calibrating,
            faces.take(split.calibration).people,
            f"who are not known to be apart from those that it was trained on ({terms(config)})",
        ),
        Origin(
            name,
            version,
            [f"images that the makers of {name} chose"],
            f"{file.licence}; calibrated on {terms(config)}",
            {
                "adopted": file.model_dump(mode="json"),
                "config": {"seed": config.seed, "data": config.data.model_dump(mode="json"), "teacher": []},
                "images": training.fingerprint(),
                "validation": kept,
                "results": results,
            },
        ),
        say,
        half=half,
    )


def turned(teacher: Teacher, crops: data.Faces) -> FloatArray | None:
    """What makes 128 numbers of a teacher's own: float32[D, 128], None where it has 128. Of more, the directions in
    which the crops differ most, of unit rows and not of their differences from the mean, since it is their products
    that are to stay (Eckart, Young 1936). Fewer are followed by zeros."""
    if teacher.numbers == EMBEDDING_SIZE:
        return None
    if teacher.numbers < EMBEDDING_SIZE:
        return np.eye(teacher.numbers, EMBEDDING_SIZE, dtype=np.float32)
    rows = teacher.say(crops.centre()).astype(np.float64)
    _, directions = np.linalg.eigh(rows.T @ rows)
    return np.ascontiguousarray(directions[:, : -EMBEDDING_SIZE - 1 : -1], dtype=np.float32)


def _unit(rows: FloatArray) -> FloatArray:
    lengths: FloatArray = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths
