"""The one place that loads onnxruntime, set up as a small computer at a door needs it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

# From 1.29 on, onnxruntime reports home unless this is set before the import: nothing leaves the building.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy.typing as npt
import onnxruntime as ort

from firmware_config.errors import BadInput

CPU: Final = "CPUExecutionProvider"
"""Always there, and what the bundle's calibration was made with."""

RUNS_KEPT: Final = 16
"""Network runs that are remembered on a thread: a frame has three."""

_here = threading.local()


def network_runs() -> deque[tuple[float, float]]:
    """When the latest networks ran on this thread: begin and end, time.perf_counter(), s. Whoever times clears it."""
    runs: deque[tuple[float, float]] | None = getattr(_here, "runs", None)
    if runs is None:
        runs = _here.runs = deque(maxlen=RUNS_KEPT)
    return runs


class Network:
    """An onnxruntime session that notes when it ran."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    @property
    def provider(self) -> str:
        """The execution provider that has the first say, as onnxruntime has it in the end."""
        return str(self._session.get_providers()[0])

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        """As InferenceSession.run."""
        begin = time.perf_counter()
        found: list[Any] = self._session.run(outputs, feeds)
        network_runs().append((begin, time.perf_counter()))
        return found


def available() -> list[str]:
    """Execution providers that this build of onnxruntime has; whether they start is another matter."""
    return list(ort.get_available_providers())


def version() -> str:
    """Of onnxruntime."""
    return str(ort.__version__)


def open_session(
    model: bytes,
    threads: int,
    what: str,
    provider: str = CPU,
    options_of_provider: Mapping[str, str] | None = None,
    constants: Mapping[str, npt.NDArray[Any]] | None = None,
) -> Network:
    """An inference session.

    model: an ONNX file's bytes. threads: 1 or more, within one operator. what: names the model in the error. provider:
    an execution provider of this build; what it cannot run, the CPU does. constants: by name, those of the model's
    tensors that it says are kept elsewhere. Raises BadInput when onnxruntime cannot load the model, or cannot start the
    provider.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads burn half a core between frames for no measurable gain at 15 frames/s.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the largest that a first run asked for: 12 MB for a door's networks, and no run is slower without.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    # Held until the session has read them.
    elsewhere = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in (constants or {}).items()}
    if elsewhere:
        options.add_external_initializers(list(elsewhere), list(elsewhere.values()))
    providers: list[Any] = [CPU] if provider == CPU else [(provider, dict(options_of_provider or {})), CPU]
    try:
        session = ort.InferenceSession(model, options, providers=providers)
    except Exception as error:
        raise BadInput(f"{what} is not an ONNX model that onnxruntime can load ({error}).") from error
    # A provider whose libraries are missing is dropped with a line on stderr, and the CPU takes over.
    if session.get_providers()[0] != provider:
        raise BadInput(f"{what} cannot run on {provider}: this build has it, and it does not start on this board.")
    return Network(session)
