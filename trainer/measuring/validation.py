"""How a network does on people that it does not train on, after an epoch. Published protocols are evaluate's."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from firmware_config.face import CROP_SIZE, FloatArray, ImageArray
from trainer import data
from trainer.config import Config
from trainer.loop.feed import as_input
from trainer.loop.objective import Heads, dissimilarity
from trainer.loop.world import ALONE, World
from trainer.measuring.metrics import PairTable, equal_error_rate, pair_table, true_accept_rate


def embed(
    config: Config, network: nn.Module, crops: ImageArray, batch: int = 128, pixels: int = CROP_SIZE
) -> FloatArray:
    """Embeddings in float, as training sees them. The door's come from device.embed and the int8 file.

    `pixels` shrinks the door's crops first, for a network that so far trained on smaller images only.

    crops: uint8[N, S, S, C] -> float32[N, D], unit rows where the configuration says so.
    """
    network.eval()
    weights = next(network.parameters())
    found: list[FloatArray] = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            part = torch.from_numpy(np.ascontiguousarray(crops[start : start + batch])).to(weights.device)
            images = as_input(config, part).to(weights.dtype)
            if config.network.for_door and pixels != CROP_SIZE:
                images = nn.functional.interpolate(images, size=(pixels, pixels), mode="area")
                images = images.contiguous(memory_format=torch.channels_last)
            rows = network(images)
            found.append((nn.functional.normalize(rows) if config.network.unit_rows else rows).float().cpu().numpy())
    return np.concatenate(found)


def scored_pairs(heads: Heads | None, embeddings: FloatArray, identities: data.IntArray) -> PairTable:
    """All pairs by distance, or by the logistic unit where the run trains one (0 to 1). float32[N, D], int64[N]."""
    if heads is None or "pair-logistic" not in heads:
        return pair_table(embeddings, identities)
    rows = torch.from_numpy(embeddings).to(next(heads.parameters()))
    with torch.inference_mode():  # one row against all after it: all at once would be N * N * D numbers
        scores = np.concatenate(
            [dissimilarity(heads, rows[i], rows[i + 1 :]).cpu().numpy() for i in range(len(rows) - 1)]
        )
    first, second = np.triu_indices(len(rows), k=1)
    same = identities[first] == identities[second]
    return PairTable(scores[same], scores[~same])


def validate(
    config: Config,
    network: nn.Module,
    faces: data.Faces,
    pixels: int,
    heads: Heads | None = None,
    world: World = ALONE,
) -> dict[str, float]:
    """EER and TAR at FMR 1e-2 and 1e-3 over all pairs. Each process embeds its share; all get the same numbers."""
    crops = faces.centre() if config.network.for_door else faces.pixels
    own = np.array_split(np.arange(len(crops)), world.size)[world.rank]
    embeddings = world.collect(embed(config, network, crops[own[0] : own[-1] + 1], pixels=pixels))
    table = scored_pairs(heads, embeddings, faces.identities)
    return {
        "eer": equal_error_rate(table.genuine, table.impostor),
        "tar_1e-2": true_accept_rate(table.genuine, table.impostor, 1e-2),
        "tar_1e-3": true_accept_rate(table.genuine, table.impostor, 1e-3),
    }
