"""What a training run consists of: its images, its network, and all that a stopped one needs to go on."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import nn

from firmware_config.errors import BadInput
from trainer import data
from trainer.config import DOOR_NETWORKS, Config, Network
from trainer.encoders import FusedFaceNet, MobileFaceNet
from trainer.loop.averaging import weights_of
from trainer.loop.feed import as_input
from trainer.loop.objective import Heads
from trainer.loop.pretrained import begin_from
from trainer.loop.whitening import whiten
from trainer.loop.world import ALONE, World, with_shared_statistics
from trainer.small_encoders import EdgeNet, Koch, Tutorial, TwoTowers

PRECISIONS: Final = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass
class Best:
    """The validation that early stop goes by: how good, in which epoch, and with which weights."""

    score: float
    epoch: int
    weights: dict[str, torch.Tensor]
    heads: dict[str, torch.Tensor]


@dataclass
class Run:
    """All that a stopped run needs to go on, beside the configuration. Chance depends on seed and step alone."""

    network: nn.Module
    heads: Heads
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: nn.Module | None = None
    """The averaged weights, which are then the result."""
    inherited: list[str] = field(default_factory=list)
    """What the weights were trained on that it began with."""
    best: Best | None = None
    step: int = 0
    stopped_early: bool = False
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def result(self) -> nn.Module:
        """The network to validate and to export."""
        return self.network if self.average is None else self.average

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Moves the average towards the weights; faster in the beginning, so that it forgets where it began."""
        if self.average is None:
            return
        part = 1.0 - min(decay, (1 + self.step) / (10 + self.step))
        for middle, own in zip(weights_of(self.average), weights_of(self.network), strict=True):
            middle.lerp_(own, part)


def build_network(config: Config) -> nn.Module:
    """The network that the configuration names, with weights drawn from its seed."""
    torch.manual_seed(config.seed)
    how = config.network
    if how.kind == "tutorial":
        return Tutorial(how.dropout) if how.towers == 1 else TwoTowers(how.dropout)
    if how.kind == "koch":
        return Koch()
    if how.kind == "edgenet":
        whitened = config.whiten is not None
        return EdgeNet(config.stage[0].pixels, how.strides, how.bins, how.channels, how.dropout, how.outputs, whitened)
    return door_network(how)


def door_network(how: Network) -> nn.Module:
    """A door's encoder, with weights as chance has them. Raises BadInput for a network of another kind."""
    if how.kind not in DOOR_NETWORKS:
        raise BadInput(f"A network of the kind {how.kind} is no door's; these are: {', '.join(DOOR_NETWORKS)}.")
    if how.kind == "fusedfacenet":
        network: nn.Module = FusedFaceNet(how.widths, how.blocks)
    else:
        network = MobileFaceNet(how.width, how.stem)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def begin_network(config: Config) -> tuple[nn.Module, list[str]]:
    """The network at step 0, and what its weights were trained on: those of `start` where there is one.

    Raises BadInput, BadState.
    """
    network = build_network(config)
    return network, begin_from(network, Path(config.start)) if config.start else []


def build_run(config: Config, training: data.Faces, world: World = ALONE) -> Run:
    """A run at step 0. Raises BadInput for options that a loss does not know, and what `begin_network` raises."""
    network, inherited = begin_network(config)
    if config.whiten is not None:
        assert isinstance(network, EdgeNet)
        whiten(network, config, training)
    with torch.inference_mode():  # the length of an embedding, whatever the network
        outputs = network.eval()(as_input(config, torch.from_numpy(training.pixels[:1]))).shape[1]
    heads = Heads(config, training.people, outputs)
    kept = kept_type(config)
    average = copy.deepcopy(network).to(world.device, kept) if config.average else None
    network = with_shared_statistics(network, world).to(world.device, kept)
    heads.to(world.device, kept)
    # Class weights do not decay: they are normalised in the loss, and decay would only raise their rate.
    groups = [
        {"params": list(network.parameters()), "weight_decay": config.weight_decay},
        {"params": list(heads.parameters()), "weight_decay": 0.0},
    ]
    if config.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    elif config.optimiser == "adamw":
        optimiser = torch.optim.AdamW(groups, lr=1e-3, fused=True)
    else:
        optimiser = torch.optim.Adam(groups, lr=1e-3, fused=True)
    halved = autocast_type(config, world) == torch.float16
    return Run(network, heads, optimiser, torch.amp.GradScaler(world.device.type, enabled=halved), average, inherited)


def kept_type(config: Config) -> torch.dtype:
    """What weights, embeddings and losses are kept in, whatever the network computes in."""
    return torch.float64 if config.precision == "float64" else torch.float32


def autocast_type(config: Config, world: World) -> torch.dtype:
    """What the network computes in: on its own choice bfloat16 where a GPU has it, else float16; float32 on a CPU."""
    if config.precision != "auto":
        return PRECISIONS[config.precision]
    if world.device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
