"""The network that learns, with what it needs only while it is taught: adaptors from its maps to the teacher's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from firmware_config.errors import BadInput, BadState
from trainer import losses
from trainer.config import Config
from trainer.encoders import FusedFaceNet
from trainer.lessons import Lesson
from trainer.train import CHECKPOINT, build_network

MAP_WEIGHTS: Final = (0.5, 1.0)
"""Of the 14x14 and of the 7x7 map: the later one says more of who it is."""

LEAST_HINTS: Final = 0.05
"""Share of the hints' weight that is left at the end: enough to keep the maps, too little to cost the embedding."""


class Student(nn.Module):
    """pixels: float32[N, 3, 112, 112], about -1 to 1 -> float32[N, 128], and float32[N, C, S, S] for each map that the
    teacher has. Romero et al. 2015: a map says far more of a picture than one row does."""

    def __init__(self, network: nn.Module, map_channels: list[int]) -> None:
        """Raises BadInput for maps with a network that has none."""
        super().__init__()
        if map_channels and not isinstance(network, FusedFaceNet):
            raise BadInput(
                "Only the network fusedfacenet learns a teacher's maps. Leave them out of the configuration."
            )
        self.network = network
        own = FusedFaceNet.CHANNELS[: len(map_channels)]
        self.adaptors = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(own, map_channels, strict=True))

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As the class says."""
        if not isinstance(self.network, FusedFaceNet):
            return self.network(pixels), []
        embeddings, maps = self.network.with_maps(pixels)
        return embeddings, [adapt(map_) for adapt, map_ in zip(self.adaptors, maps, strict=False)]


def lesson_loss(embeddings: Tensor, maps: list[Tensor], lesson: Lesson, hints: float) -> Tensor:
    """Squared distance to the targets, 0 to 4, and `hints` times that of the maps, where 1 is knowing nothing."""
    total = losses.regression(nn.functional.normalize(embeddings), lesson.targets)
    for weight, own, wanted in zip(MAP_WEIGHTS, maps, lesson.maps, strict=False):
        total = total + hints * weight * (own - wanted).square().mean()
    return total


def build_student(config: Config, map_channels: list[int]) -> Student:
    """A student at step 0: weights of the seed, or those of the run that it starts from. Raises BadInput, BadState."""
    assert config.distill is not None
    student = Student(build_network(config), map_channels)
    if config.distill.start:
        begin_from(student.network, Path(config.distill.start))
    return student.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def begin_from(network: nn.Module, folder: Path) -> None:
    """Takes the weights of a run, and grows where that has fewer blocks. Raises BadInput, BadState."""
    path = folder / CHECKPOINT
    if not path.exists():
        raise BadInput(f"There is no {CHECKPOINT} in {folder}, where the student should start from.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        blocks = tuple(state["config"]["network"].get("blocks", (2, 2)))
        if isinstance(network, FusedFaceNet):
            smaller = FusedFaceNet((blocks[0], blocks[1]))
            smaller.load_state_dict(state["network"])
            network.grow_from(smaller)
        else:
            network.load_state_dict(state["network"])
    except (KeyError, ValueError, RuntimeError, EOFError) as error:
        raise BadState(f"{path} is not a checkpoint of the same kind of network: {error}") from error
