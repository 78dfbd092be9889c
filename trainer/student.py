"""The network that learns from teachers: with weights of its seed, or with those that another run ended with."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from firmware_config.errors import BadInput, BadState
from trainer.config import Config, Network
from trainer.encoders import FusedFaceNet
from trainer.train import CHECKPOINT, build_network


def build_student(config: Config) -> nn.Module:
    """A student at step 0. Raises BadInput, BadState."""
    assert config.distill is not None
    student = build_network(config)
    if config.distill.start:
        begin_from(student, Path(config.distill.start))
    return student


def weights_bytes(config: Config, network: nn.Module) -> bytes:
    """A file of weights for `start`: those of `network` in half precision, and which network it is."""
    half = {k: v.half() if v.dtype.is_floating_point else v for k, v in network.state_dict().items()}
    stream = io.BytesIO()
    torch.save({"config": {"network": config.network.model_dump(mode="json")}, "network": half}, stream)
    return stream.getvalue()


def begin_from(network: nn.Module, path: Path) -> None:
    """Takes the weights of a run's folder or of a file of weights, and grows where that has fewer blocks.

    Raises BadInput, BadState.
    """
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.exists():
        raise BadInput(f"There is no {path}, where the student should start from.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        kept = Network.model_validate(state["config"]["network"])
        if isinstance(network, FusedFaceNet):
            smaller = FusedFaceNet(kept.widths, kept.blocks)
            smaller.load_state_dict(state["network"])
            network.grow_from(smaller)
        else:
            network.load_state_dict(state["network"])
    except (KeyError, TypeError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise BadState(f"{path} is not a checkpoint of the same kind of network: {error}") from error
