"""How a teacher's ONNX file is run: OpenVINO in bfloat16 where a processor is built for that, else onnxruntime."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from device.runtime import open_session
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray

BATCH: Final = 32
"""Crops at a time: larger ones are no faster on a CPU, and one size spares OpenVINO a compilation for each."""


class Engine(Protocol):
    """pixels: float32[N, 3, S, S] -> float32[N, D], not yet unit length, on the same device."""

    def __call__(self, pixels: Tensor) -> Tensor: ...


def open_engine(model: bytes, threads: int, what: str, *, exact: bool = False) -> Engine:
    """The faster engine that this machine has; exact: of those in float32. Raises BadInput when the model does not
    load."""
    return OpenVino(model, threads, what) if has_bfloat16() and not exact else OnnxRuntime(model, threads, what)


def has_bfloat16() -> bool:
    """Whether the processor multiplies tiles of bfloat16 (x86's AMX): then three times the crops a second."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


class OnnxRuntime:
    """In float32, on any processor."""

    def __init__(self, model: bytes, threads: int, what: str) -> None:
        self._session = open_session(model, threads, what)
        self._input = self._session.get_inputs()[0]
        self._output = self._session.get_outputs()[0].name

    def __call__(self, pixels: Tensor) -> Tensor:
        """As Engine says."""
        # Files such as SFace's fix the batch at one.
        size = 1 if self._input.shape[0] == 1 else BATCH
        parts = [part.contiguous().numpy() for part in torch.split(pixels, size)]
        said = [self._session.run([self._output], {self._input.name: part})[0] for part in parts]
        return torch.from_numpy(np.concatenate(said).reshape(len(pixels), -1).astype(np.float32))


class OpenVino:
    """In bfloat16: what is said differs by less than a hundredth in the cosine, which teaches as well."""

    def __init__(self, model: bytes, threads: int, what: str) -> None:
        import openvino  # noqa: PLC0415  # a second to load, and only here

        core = openvino.Core()
        try:
            read = core.read_model(model)
            read.reshape([BATCH, *(dimension.get_length() for dimension in list(read.input(0).partial_shape)[1:])])
            how = {
                "INFERENCE_PRECISION_HINT": "bf16",
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "THROUGHPUT",
            }
            compiled = core.compile_model(read, "CPU", how)
        except RuntimeError as error:
            raise BadInput(f"{what} is not an ONNX model that OpenVINO can load ({error}).") from error
        # Not its AsyncInferQueue: with a callback in Python that can wait for itself when it is taken down.
        self._free: SimpleQueue[Any] = SimpleQueue()
        self._requests = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        for _ in range(self._requests):
            self._free.put(compiled.create_infer_request())

    def __call__(self, pixels: Tensor) -> Tensor:
        """As Engine says."""
        parts = [part.contiguous().numpy() for part in torch.split(pixels, BATCH)]
        with ThreadPoolExecutor(self._requests) as pool:
            return torch.from_numpy(np.concatenate(list(pool.map(self._one, parts))))

    def _one(self, part: FloatArray) -> FloatArray:
        padded = np.zeros((BATCH, *part.shape[1:]), np.float32)
        padded[: len(part)] = part
        request = self._free.get()
        try:
            request.infer([padded], share_inputs=True)
            rows: FloatArray = np.array(request.get_output_tensor(0).data, dtype=np.float32).reshape(BATCH, -1)
        finally:
            self._free.put(request)
        return rows[: len(part)]


class OnTorch:
    """On a GPU, in half precision; where there is none, in float32."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._half = device.type == "cuda"

    def __call__(self, pixels: Tensor) -> Tensor:
        """As Engine says."""
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(pixels.device.type, torch.float16, enabled=self._half):
            rows: Tensor = self._network(pixels)
        return rows.float().flatten(1)
