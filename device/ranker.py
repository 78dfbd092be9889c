"""How good a picture of a face is, in one number: a small network that learned which of two is the worse one."""

from __future__ import annotations

from math import isfinite

import numpy as np

from device.runtime import open_session
from firmware_config.errors import BadInput, BadState
from firmware_config.face import CROP_SIZE, FloatArray, ImageArray


class QualityRanker:
    """A bundle's quality.onnx. Liu, van de Weijer, Bagdanov 2017 (RankIQA)."""

    def __init__(self, onnx: bytes, threads: int = 1) -> None:
        """onnx: input uint8[N, 112, 112, 3] RGB, output float32[N]: 0 is the worst that the door takes, 1 the median
        of good photographs. Raises BadInput when it is no ONNX model or breaks that contract."""
        self._session = open_session(onnx, threads, "The quality network")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        crop = [CROP_SIZE, CROP_SIZE, 3]
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(uint8)" or inputs[0].shape[1:] != crop:
            raise BadInput("The quality network does not take uint8[N, 112, 112, 3] and give one number for each.")
        self._input = inputs[0].name
        try:
            self.score(np.full((1, *crop), 128, dtype=np.uint8))
        except BadState as error:
            raise BadInput(str(error)) from error

    def score(self, crops: ImageArray) -> FloatArray:
        """crops: uint8[N, 112, 112, 3] RGB -> float32[N]. Raises BadState when it gives no numbers."""
        try:
            scores = np.asarray(self._session.run(None, {self._input: crops})[0])
        except Exception as error:
            raise BadState(f"The quality network failed on {len(crops)} crops ({error}).") from error
        if scores.shape != (len(crops),) or scores.dtype != np.float32 or not all(map(isfinite, scores.tolist())):
            raise BadState(f"The quality network gave {scores.dtype}{list(scores.shape)} for {len(crops)} crops.")
        return scores
