"""What varies within a person, learned in closed form: the start, or the whole, of a linear siamese network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from firmware_config.errors import BadInput
from trainer import data
from trainer.config import Config
from trainer.images.looks import look, plain
from trainer.loop.feed import as_input
from trainer.parts import Look
from trainer.small_encoders import EdgeNet

BATCH = 256
"""Images at a time; the edges of all at once would be gigabytes."""


def whiten(network: EdgeNet, config: Config, training: data.Faces) -> None:
    """Sets the linear layer of a network without convolutions: within a person all directions then vary alike.

    It sees every training image as it is, mirrored where the configuration mirrors, and in `views` changed copies.
    Raises BadInput when nobody has two images, or there are fewer directions than outputs.
    """
    assert config.whiten is not None
    how = config.look or Look()
    pixels = config.stage[0].pixels
    random = np.random.default_rng(config.seed)
    seen = [np.stack([plain(crop, pixels) for crop in training.pixels])]
    if how.mirror:
        seen.append(np.ascontiguousarray(seen[0][:, :, ::-1]))
    for _ in range(config.whiten.views):
        seen.append(np.stack([look(crop, pixels, how, random) for crop in training.pixels]))
    network.eval()
    with torch.inference_mode():
        rows = torch.cat(
            [
                network.maps(as_input(config, torch.from_numpy(crops[i : i + BATCH])))
                for crops in seen
                for i in range(0, len(crops), BATCH)
            ]
        )
    identities = torch.from_numpy(np.tile(training.identities, len(seen)))
    middle, matrix = whitening(rows, identities, network.linear.out_features, config.whiten.shrink)
    with torch.no_grad():
        network.linear.weight.copy_(matrix)
        network.linear.bias.copy_(-matrix @ middle)


def whitening(rows: Tensor, identities: Tensor, outputs: int, shrink: float) -> tuple[Tensor, Tensor]:
    """float32[M, L], int64[M] -> their mean, float32[L], and float32[outputs, L], which multiplies what is left.

    The main components first, then a turn and a scale after which people's own images scatter evenly; `shrink` of the
    mean scatter is added to each direction, so that those that hardly vary here are not trusted too much. As from the
    differences of all genuine pairs: relevant component analysis, Bar-Hillel et al. 2005. Raises BadInput.
    """
    counts = torch.bincount(identities)
    if int(counts.max()) < 2 or outputs > min(rows.shape):
        raise BadInput(f"Whitening to {outputs} numbers wants as many images and edges, and a person with two images.")
    middle = rows.mean(dim=0)
    left = (rows - middle).double()
    _, directions = torch.linalg.eigh(left.T @ left)
    components = directions.flip(1)[:, :outputs]  # eigh's largest come last
    places = left @ components
    sums = torch.zeros(len(counts), outputs, dtype=torch.float64).index_add_(0, identities, places)
    own = places - (sums / counts.clamp(min=1)[:, None])[identities]
    scatter = own.T @ own / len(own)
    scatter += shrink * scatter.trace() / outputs * torch.eye(outputs, dtype=torch.float64)
    spread, turn = torch.linalg.eigh(scatter)
    return middle, (components @ turn / spread.sqrt()).T.float()
