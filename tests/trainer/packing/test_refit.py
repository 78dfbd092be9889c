"""The last layer gives back what int8 takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer import export
from trainer.encoders import FusedFaceNet
from trainer.packing.refit import _Answers, _turned, refit


def network() -> FusedFaceNet:
    torch.manual_seed(5)
    made = FusedFaceNet((8, 8, 16, 16), (0, 0, 1, 0), last=32)
    with torch.no_grad():
        for _ in range(4):  # statistics for batch norm
            made.train()(torch.randn(16, 3, 112, 112))
    return made.eval()


def crops(count: int, seed: int) -> np.ndarray:
    low = np.random.default_rng(seed).integers(0, 256, (count, 14, 14, 3))
    return np.kron(low, np.ones((1, 8, 8, 1))).astype(np.uint8)


def test_a_turned_network_answers_turned() -> None:
    random = np.random.default_rng(1)
    matrix, bias = np.eye(128) + 0.1 * random.normal(size=(128, 128)), random.normal(size=128)
    before = network()
    after = _turned(before, matrix, bias)
    pixels = torch.randn(3, 3, 112, 112)
    with torch.inference_mode():
        wanted = before(pixels).numpy() @ matrix + bias
        assert np.abs(after(pixels).numpy() - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_what_quantisation_does_alike_to_all_pictures_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    matrix, bias = np.eye(128) * 0.9 + 0.01 * random.normal(size=(128, 128)), 0.1 * random.normal(size=128)
    before, probes = network(), crops(20, 2)
    harm = export.graph_to_onnx(_Answers(_turned(before, matrix, bias)), export.OUTPUT)
    monkeypatch.setattr(export, "quantise", lambda _model, _ranges: harm)
    mended = _turned(refit(before, crops(8, 1), crops(600, 3)), matrix, bias)
    wanted, harmed, left = (export.torch_rows(each, probes) for each in (before, _turned(before, matrix, bias), mended))
    assert np.abs(left - wanted).max() < 0.3 * np.abs(harmed - wanted).max()
