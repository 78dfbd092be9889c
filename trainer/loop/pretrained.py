"""Weights that another run ended with, for a network to begin with."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from firmware_config.errors import BadInput, BadState
from trainer.config import Config, Network
from trainer.encoders import FusedFaceNet
from trainer.terms import bequest

CHECKPOINT: Final = "checkpoint.pt"
"""In a run's folder."""


def fault_of(error: Exception) -> str:
    """What is wrong with a file of weights, in a line. Of a file that is none, torch would advise to run it."""
    if isinstance(error, pickle.UnpicklingError):
        return "it holds no weights"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def weights_bytes(config: Config, network: nn.Module, inherited: Sequence[str] = ()) -> bytes:
    """A file of weights for `start`: those of `network` in half precision, which network it is, and what it was trained
    on. inherited: what the weights were trained on that the run had begun with."""
    half = {k: v.half() if v.dtype.is_floating_point else v for k, v in network.state_dict().items()}
    stream = io.BytesIO()
    which = {"network": config.network.model_dump(mode="json")}
    torch.save({"config": which, "network": half, "trained_on": bequest(config, inherited)}, stream)
    return stream.getvalue()


def begin_from(network: nn.Module, path: Path) -> list[str]:
    """Takes the weights of a run's folder or of a file of weights, and grows where that has fewer blocks.

    -> what they were trained on, with terms. Raises BadInput, BadState.
    """
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.exists():
        raise BadInput(f"There is no {path}, whose weights the run should start from (`start` in its configuration).")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        kept = Network.model_validate(state["config"]["network"])
        if isinstance(network, FusedFaceNet):
            smaller = FusedFaceNet(kept.widths, kept.blocks)
            smaller.load_state_dict(state["network"])
            network.grow_from(smaller)
        else:
            network.load_state_dict(state["network"])
        if "trained_on" in state:
            return [str(line) for line in state["trained_on"]]
        return bequest(Config.model_validate(state["config"]), state.get("inherited", ()))
    except (KeyError, TypeError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise BadState(f"{path} is not a checkpoint of the same kind of network ({fault_of(error)}).") from error
