"""A crop -> 128 numbers. Knows one encoder at a time; which one is said by the ONNX file's sha256."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from math import sqrt
from typing import Final

import numpy as np

from device.runtime import CPU, open_session
from firmware_config.errors import BadInput, BadState
from firmware_config.face import CROP_SIZE, EMBEDDING_SIZE, FloatArray, ImageArray

UNIT_TOLERANCE: Final = 1e-3
"""How far a row's length may be from 1: float32 rounding is 1e-6, a forgotten normalisation is far off."""


class Encoder:
    """Runs the siamese branch: both images of a pair go through this one network."""

    def __init__(
        self,
        onnx: bytes,
        threads: int = 1,
        provider: str = CPU,
        options: Mapping[str, str] | None = None,
        encoder_id: str = "",
    ) -> None:
        """onnx: encoder.onnx of a bundle, input uint8[N, 112, 112, 3] RGB, output float32[N, 128], unit rows. provider,
        options: onnxruntime's names of what runs it, and how. encoder_id: whose templates its rows may be compared
        with, where that is another file's, as for a bundle's fp16 variant.

        Raises BadInput when it is no ONNX model or breaks that contract.
        """
        self.encoder_id = encoder_id or hashlib.sha256(onnx).hexdigest()
        self._session = open_session(onnx, threads, "The encoder", provider, options)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise BadInput(f"The encoder has {len(inputs)} inputs and {len(outputs)} outputs instead of one each.")
        crop = [CROP_SIZE, CROP_SIZE, 3]
        if inputs[0].type != "tensor(uint8)" or inputs[0].shape[1:] != crop or isinstance(inputs[0].shape[0], int):
            raise BadInput(
                f"The encoder takes {inputs[0].type}{inputs[0].shape}; the contract is uint8[N, 112, 112, 3]."
            )
        if outputs[0].type != "tensor(float)":
            raise BadInput(f"The encoder gives {outputs[0].type}; the contract is float32[N, 128].")
        self._input = inputs[0].name
        # Shapes of outputs are often left open by exporters, and length is not declared at all: look at one.
        grey = np.full((1, *crop), 128, dtype=np.uint8)
        try:
            self.embed(grey)
        except BadState as error:
            raise BadInput(str(error)) from error

    def embed(self, crops: ImageArray) -> FloatArray:
        """crops: uint8[N, 112, 112, 3] RGB -> float32[N, 128], unit rows.

        Raises BadInput for other shapes or types, BadState when the network gives anything but unit rows.
        Bromley et al. 1993; Schroff, Kalenichenko, Philbin 2015 put the outputs on the unit sphere.
        """
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
            raise BadInput(f"Crops are uint8[N, 112, 112, 3], not {crops.dtype}{list(crops.shape)}.")
        if len(crops) == 0:
            return np.empty((0, EMBEDDING_SIZE), dtype=np.float32)
        try:
            embeddings = np.asarray(self._session.run(None, {self._input: crops})[0])
        except Exception as error:
            raise BadState(f"The encoder failed on {len(crops)} crops ({error}).") from error
        if embeddings.shape != (len(crops), EMBEDDING_SIZE) or embeddings.dtype != np.float32:
            raise BadState(
                f"The encoder gave {embeddings.dtype}{list(embeddings.shape)} for {len(crops)} crops; "
                f"the contract is float32[{len(crops)}, 128]."
            )
        # Written so that a NaN fails too.
        for row in embeddings:
            if not abs(sqrt(row.dot(row)) - 1) <= UNIT_TOLERANCE:
                raise BadState("The encoder gave rows that are not of length 1.")
        return embeddings
