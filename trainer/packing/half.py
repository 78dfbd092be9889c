"""The same encoder in fp16, for boards with a GPU: TensorRT and CUDA compute that, and int8 seldom better.

The people at a door were enrolled with the int8 file, so the variant is held against that: its probes, their templates,
at the thresholds that were calibrated in int8 (docs/adr/0016).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from device.embed import Encoder
from firmware_config.bundle import Golden
from firmware_config.calibration import Calibration
from trainer.data import Faces
from trainer.export import OUTPUT, stripped
from trainer.measuring.calibrate import calibrate
from trainer.measuring.trial import embed_all
from trainer.packing import gate


def half_of(model: bytes) -> bytes:
    """export.to_onnx's float32 graph -> fp16 inside, the same inputs and outputs."""
    converted = convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True)
    graph = converted.graph
    # Rounded to fp16 a row is up to 3e-4 longer or shorter than 1, a third of what the door takes for a fault.
    rounded = f"{OUTPUT}_in_fp16"
    for node in graph.node:
        node.output[:] = [rounded if name == OUTPUT else name for name in node.output]
    graph.node.append(helper.make_node("LpNormalization", [rounded], [OUTPUT], axis=1, p=2))
    return bytes(stripped(converted).SerializeToString())


def check_half(
    half: Encoder, encoder: Encoder, golden: Golden, people: Faces, calibration: Calibration, say: Callable[[str], None]
) -> float:
    """encoder: the int8 one, golden its outputs. people: never trained on, those of calibration -> the furthest that
    one number of the variant is from the golden outputs, for the manifest. Raises BadState where thresholds would not
    hold."""
    crops = people.centre()
    templates, probes = embed_all(encoder.embed, crops), embed_all(half.embed, crops)
    across = calibrate(templates, people.identities, calibration.source, probes=probes)
    tau = calibration.tau_at(gate.FMR)
    let_in = [each.genuine.share_at_most(tau) for each in (across, calibration)]
    say(
        f"fp16 against int8's templates, at int8's tau for FMR {gate.FMR:g}: TAR {let_in[0]:.4f}, int8 with itself "
        f"{let_in[1]:.4f}, {people.people} people"
    )
    gate.check_half(calibration, across)
    return float(np.max(np.abs(half.embed(golden.inputs) - golden.outputs)))
