"""A network is read from a run's folder or from a file of its weights, and gives the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from firmware_config.errors import BadInput, BadState
from tests.makers_training import SPLIT, quiet, small_config
from trainer import train
from trainer.data import Faces
from trainer.loop.pretrained import weights_bytes
from trainer.loop.run import build_network
from trainer.loop.trained import load_network


def test_a_file_of_weights_is_its_run_s_network_in_half_precision(six_people: Faces, tmp_path: Path) -> None:
    config = small_config()
    run = train.train(config, six_people, SPLIT, tmp_path / "run", quiet)
    (tmp_path / "weights.pt").write_bytes(weights_bytes(config, run.result))
    whole, half = load_network(tmp_path / "run"), load_network(tmp_path / "weights.pt")
    crops = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        rows, halved, untrained = (network.eval()(crops) for network in (whole, half, build_network(config)))
    assert torch.linalg.norm(rows - halved, dim=1).max() < 0.01
    assert torch.linalg.norm(rows - untrained, dim=1).min() > 0.05, "the weights were read"


def test_weights_of_another_kind_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    other, torn = tmp_path / "koch.pt", tmp_path / "torn.pt"
    config = small_config()
    config = config.model_copy(update={"network": config.network.model_copy(update={"kind": "koch"})})
    other.write_bytes(weights_bytes(config, build_network(config)))
    with pytest.raises(BadInput, match="koch is no door's; these are: mobilefacenet, fusedfacenet"):
        load_network(other)
    torn.write_bytes(other.read_bytes()[:1000])
    with pytest.raises(BadState, match="is not a file of weights"):
        load_network(torn)
