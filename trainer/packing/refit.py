"""What int8 takes from an embedding, the last layer gives back: it is fitted to what the quantised layers say."""

from __future__ import annotations

import copy
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from device.runtime import open_session
from firmware_config.face import EMBEDDING_SIZE, FloatArray, ImageArray
from trainer import export
from trainer.encoders import normalise

SHRINK: Final = 1e-3
"""Ridge towards changing nothing, in shares of the embeddings' own variance."""

FEWEST_CROPS: Final = 4 * EMBEDDING_SIZE
"""Under which only the bias is fitted: a matrix of as many numbers would learn the crops by heart."""

BATCH: Final = 64


class _Answers(nn.Module):
    """crops: uint8[N, 112, 112, 3] RGB -> float32[N, 128], before they are made unit length."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        """As the class says."""
        answers: Tensor = self.network(normalise(crops))
        return answers


def refit(network: nn.Module, ranges: ImageArray, crops: ImageArray) -> nn.Module:
    """The same network with another last layer: after `export.quantise` it says more nearly what `network` says.

    network: one that ends in a 1x1 convolution, batch norm and flatten, as the door's do. ranges: crops that set the
    ranges of int8; crops: uint8[M, 112, 112, 3], thousands, of people trained on. After Nagel et al. 2019, who mend the
    bias of every layer; here bias and matrix of the last one, by ridge regression.
    """
    answers = export.graph_to_onnx(_Answers(network), export.OUTPUT)
    wanted = _say(answers, crops).astype(np.float64)
    said = _say(export.quantise(answers, ranges), crops).astype(np.float64)
    middle, centre = wanted.mean(axis=0), said.mean(axis=0)
    around = said - centre
    ridge = SHRINK * float(np.square(around).sum()) / EMBEDDING_SIZE * np.eye(EMBEDDING_SIZE)
    change = np.linalg.solve(around.T @ around + ridge, around.T @ (wanted - middle - around))
    matrix = np.eye(EMBEDDING_SIZE) + (change if len(said) >= FEWEST_CROPS else 0.0)
    return _turned(network, matrix, middle - centre @ matrix)


def _say(model: bytes, crops: ImageArray) -> FloatArray:
    session = open_session(model, 2, "The encoder before its last step")
    parts = [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
    found: FloatArray = np.concatenate([session.run(None, {export.INPUT: part})[0] for part in parts])
    return found


@torch.no_grad()
def _turned(network: nn.Module, matrix: np.ndarray, bias: np.ndarray) -> nn.Module:
    """A network whose answers are `network`'s times the matrix, and the bias: folded into its last layer."""
    turned = copy.deepcopy(network).eval()
    head = turned.head
    assert isinstance(head, nn.Sequential)
    convolution, norm = head[-3], head[-2]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weights = convolution.weight.double().flatten(1) * scale[:, None]
    offset = norm.bias.double() - scale * norm.running_mean.double()
    turn, shift = torch.from_numpy(matrix), torch.from_numpy(bias)
    convolution.weight.copy_((turn.T @ weights).reshape(convolution.weight.shape))
    norm.weight.fill_(1.0)
    norm.running_mean.fill_(0.0)
    norm.running_var.fill_(1.0 - norm.eps)
    norm.bias.copy_(turn.T @ offset + shift)
    return turned
