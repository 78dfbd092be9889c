"""A run's weights, for whoever measures or packs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from firmware_config.errors import BadInput, BadState
from trainer.config import Config, Network
from trainer.loop.checkpoint import UNREADABLE
from trainer.loop.pretrained import CHECKPOINT, fault_of
from trainer.loop.run import build_network, door_network


@dataclass(frozen=True)
class Trained:
    """A finished or running training's weights."""

    config: Config
    network: torch.nn.Module
    step: int
    images: str
    """Fingerprint of the training images."""
    code: str = ""
    """Version of the code that trained it."""
    inherited: tuple[str, ...] = ()
    """What the weights that it began with were trained on, with terms."""


def load_trained(folder: Path) -> Trained:
    """The checkpoint in a run's folder. Raises BadInput when there is none, BadState when it does not read."""
    path = folder / CHECKPOINT
    if not path.exists():
        raise BadInput(f"There is no {CHECKPOINT} in {folder}. Train first: latchkey-trainer train CONFIG.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        config = Config.model_validate(state["config"])
        network = build_network(config)
        network.load_state_dict(state["network"])
        inherited = tuple(str(line) for line in state.get("inherited", ()))
        code = str(state.get("code", ""))
        return Trained(config, network.eval(), int(state["step"]), str(state["images"]), code, inherited)
    except UNREADABLE as error:
        raise BadState(f"{path} is not a whole checkpoint of this version ({fault_of(error)}).") from error


def load_network(path: Path) -> torch.nn.Module:
    """The network of a run's folder, or of a file that `latchkey-trainer weights` made. Raises BadInput, BadState."""
    if not path.is_file():
        return load_trained(path).network
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        network = door_network(Network.model_validate(state["config"]["network"]))
        network.load_state_dict(state["network"])
        return network.eval()
    except UNREADABLE as error:
        raise BadState(f"{path} is not a file of weights of this version ({fault_of(error)}).") from error
