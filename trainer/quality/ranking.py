"""The ranking siamese for image quality: of two pictures, which is the worse one? One number each, trained on pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from device.embed import Encoder
from firmware_config.errors import BadInput
from firmware_config.face import FloatArray, ImageArray, distance
from trainer.encoders import normalise
from trainer.loop.feed import ahead
from trainer.quality.distortions import DISTORTIONS, LEVELS, distort

CHANNELS: Final = (16, 24, 32, 64)
"""Of the four maps, 56 to 7 pixels wide: 9 million multiplications, a twentieth of the encoder's."""


class RankingNetwork(nn.Module):
    """pixels: float32[N, 3, 112, 112], about -1 to 1 -> float32[N], higher is better, no scale of its own.

    Liu, van de Weijer, Bagdanov 2017 rank with a VGG; a door has a fifth of a millisecond.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in CHANNELS:
            kernel = 5 if before == 3 else 3
            layers += [nn.Conv2d(before, after, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(before, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: float32[N, 3, 112, 112] -> float32[N]."""
        scores: Tensor = self.head(self.features(pixels).mean(dim=(2, 3)))
        return scores[:, 0]


@dataclass(frozen=True)
class Ladder:
    """One crop at every level of one distortion.

    pixels: uint8[LEVELS + 1, 112, 112, 3]; drift: float32[LEVELS + 1], how far the door's encoder moves each from
    level 0, 0 to 2.
    """

    kind: str
    pixels: ImageArray
    drift: FloatArray


@dataclass(frozen=True)
class RankingRun:
    """How the ranking is learned."""

    steps: int = 4000
    ladders: int = 24
    """Crops a batch, each with all levels of one distortion: every pair of levels is a pair to rank."""
    rate: float = 3e-3
    margin: float = 0.5
    """By how much the better one's score shall be higher."""
    across: float = 1.0
    """Weight of pairs from different crops and distortions, ranked by what they do to the encoder."""
    seed: int = 7


STEPS_A_LINE: Final = 100

FEWEST_DRIFT: Final = 0.15
"""Difference of drift under which two pictures of different crops are not ranked: int8 alone moves one by 0.09."""


def ladder(crop: ImageArray, kind: str, encoder: Encoder, random: np.random.Generator) -> Ladder:
    """crop: uint8[112, 112, 3] RGB."""
    pixels = np.stack([distort(crop, kind, level, random) for level in range(LEVELS + 1)])
    embeddings = encoder.embed(pixels)
    return Ladder(kind, pixels, distance(embeddings, embeddings[:1]))


def train_ranking(crops: ImageArray, encoder: Encoder, how: RankingRun, say: Callable[[str], None]) -> RankingNetwork:
    """crops: uint8[M, 112, 112, 3] RGB of people to train on; say: is given a line now and then.

    Pairs of one crop at two levels of one distortion, as RankIQA; besides, pairs of any two pictures of the batch,
    ranked by how far each distortion moved the embedding that the door compares: so that a step of blur and a step
    of darkness come to lie on one scale. Raises BadInput without crops.
    """
    if len(crops) == 0:
        raise BadInput("The ranking of quality has no crops to learn from.")
    began = time.monotonic()
    torch.manual_seed(how.seed)
    network = RankingNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=how.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.rate, total_steps=how.steps)
    for step, (pixels, drift) in enumerate(ahead(_batches(crops, encoder, how))):
        images = normalise(pixels).contiguous(memory_format=torch.channels_last)
        scores = network(images)
        loss = within(scores.reshape(-1, LEVELS + 1), how.margin) + how.across * across(scores, drift, how.margin)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if (step + 1) % STEPS_A_LINE == 0:
            left = (time.monotonic() - began) / (step + 1) * (how.steps - step - 1) / 60
            say(f"ranking: step {step + 1} of {how.steps}, loss {float(loss.detach()):.4f}, {left:.0f} min left")
    network.eval()
    return network


def within(scores: Tensor, margin: float) -> Tensor:
    """Mean hinge over all pairs of levels of each ladder: float32[L, LEVELS + 1], level 0 first."""
    better, worse = torch.triu_indices(LEVELS + 1, LEVELS + 1, offset=1)
    return nn.functional.margin_ranking_loss(
        scores[:, better], scores[:, worse], torch.ones(len(scores), len(better)), margin=margin
    )


def across(scores: Tensor, drift: Tensor, margin: float) -> Tensor:
    """Mean hinge over pairs of unlike drift: the picture that moved the embedding less shall score higher.

    scores, drift: float32[N]. A scalar >= 0; 0 when no two differ enough.
    """
    apart = drift[None, :] - drift[:, None]
    better, worse = torch.nonzero(apart > FEWEST_DRIFT, as_tuple=True)
    if len(better) == 0:
        return scores.sum() * 0.0
    return nn.functional.margin_ranking_loss(scores[better], scores[worse], torch.ones(len(better)), margin=margin)


def score(network: RankingNetwork, crops: ImageArray, batch: int = 256) -> FloatArray:
    """crops: uint8[N, 112, 112, 3] RGB -> float32[N]."""
    with torch.inference_mode():
        parts = [network(normalise(torch.from_numpy(crops[i : i + batch]))) for i in range(0, len(crops), batch)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def _batches(crops: ImageArray, encoder: Encoder, how: RankingRun) -> Iterator[tuple[Tensor, Tensor]]:
    kinds = tuple(DISTORTIONS)
    for step in range(how.steps):
        random = np.random.default_rng([how.seed, step])
        rows: npt.NDArray[np.int64] = random.integers(len(crops), size=how.ladders)
        made = [ladder(crops[row], kinds[k % len(kinds)], encoder, random) for k, row in enumerate(rows)]
        yield (
            torch.from_numpy(np.concatenate([each.pixels for each in made])),
            torch.from_numpy(np.concatenate([each.drift for each in made])),
        )
