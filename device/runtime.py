"""The one place that loads onnxruntime, set up as a small computer at a door needs it."""

from __future__ import annotations

import os

# From 1.29 on, onnxruntime reports home unless this is set before the import: nothing leaves the building.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

from firmware_config.errors import BadInput


def open_session(model: bytes, threads: int, what: str) -> ort.InferenceSession:
    """An inference session on the CPU.

    model: an ONNX file's bytes. threads: 1 or more, within one operator. what: names the model in the error.
    Raises BadInput when onnxruntime cannot load it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads burn half a core between frames for no measurable gain at 15 frames/s.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BadInput(f"{what} is not an ONNX model that onnxruntime can load ({error}).") from error
