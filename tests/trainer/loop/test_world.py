"""Two processes that share a batch do what one does with the whole of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from firmware_config.errors import BadInput
from trainer.cli import main
from trainer.loop.world import World, open_world, with_shared_statistics

CONFIG = """
name = "shared"
seed = 3
threads = 1
checkpoint_minutes = 60.0
precision = "float64"  # in float32 two orders of adding up part after a few steps, whatever makes them two

[network]
kind = "mobilefacenet"
width = 0.125
stem = 4

[data]
source = "shards"
calibration_people = 0
validation_people = 4

[[stage]]
epochs = {epochs}
pixels = 32
learning_rate = [1e-3, 1e-4]
sampler = "people"
batch = 16
images_each = 4
batches = 6

[[stage.loss]]
name = "triplet"

[[stage.loss]]
name = "arcface"
weight = 0.1

[[stage]]
epochs = 1
pixels = 32
learning_rate = [1e-4, 1e-4]
sampler = "pairs"
batch = 8
batches = 3

[[stage.loss]]
name = "contrastive"

[[stage.loss]]
name = "pair-logistic"
"""


@contextmanager
def torchrun(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command of docs/trainer.md, in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with subprocess.Popen(
        [*command, "-m", "trainer.cli", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def log_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_two_processes_have_the_loss_curve_of_one(shard_folder: Path, tmp_path: Path) -> None:
    """Batch-hard triplets over the gathered batch, class weights, pairs, batch norm, every look of a door: 15 steps."""
    path = tmp_path / "shared.toml"
    path.write_text(CONFIG.format(epochs=2))
    arguments = ["train", str(path), "--data", str(shard_folder), "--out"]
    with torchrun([*arguments, str(tmp_path / "two")]) as two:
        assert main([*arguments, str(tmp_path / "one")]) == 0
        output, _ = two.communicate(timeout=100)
    assert two.returncode == 0, output
    assert output.count("shared: ") == 1, "only the first process speaks"
    alone, shared = log_of(tmp_path / "one"), log_of(tmp_path / "two")
    assert len(alone) == len(shared) == 15
    for a, b in zip(alone, shared, strict=True):
        assert a == pytest.approx(b, abs=1e-7), f"step {a['step']}"
    states = [torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("one", "two")]
    for part in ("weights", "head_weights"):
        for key, value in states[0][part].items():
            assert torch.allclose(value.double(), states[1][part][key].double(), atol=1e-6), (part, key)


def test_two_processes_stop_together_and_one_goes_on(shard_folder: Path, tmp_path: Path) -> None:
    path, run = tmp_path / "shared.toml", tmp_path / "run"
    path.write_text(CONFIG.format(epochs=1000))
    arguments = ["train", str(path), "--data", str(shard_folder), "--out", str(run)]
    with torchrun(arguments) as two:
        assert two.stdout is not None
        for line in two.stdout:
            if line.startswith("epoch 1:"):
                break
        two.send_signal(signal.SIGTERM)
        output, _ = two.communicate(timeout=60)
    steps = log_of(run)[-1]["step"]
    assert 6 <= steps < 6_000, output
    path.write_text(CONFIG.format(epochs=int(steps // 6) + 1))
    assert main(arguments) == 0
    assert [entry["step"] for entry in log_of(run)] == list(range(1, int(steps // 6) * 6 + 6 + 3 + 1))


def test_a_batch_that_cannot_be_shared_evenly_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="15 cannot be shared evenly by 2"):
        World(0, 2).share(np.arange(15), paired=False)


def test_shares_together_are_the_batch_and_pairs_stay_together() -> None:
    rows = np.arange(12)
    plain = [World(rank, 3).share(rows, paired=False).tolist() for rank in range(3)]
    assert np.concatenate(plain).tolist() == rows.tolist()
    paired = [World(rank, 3).share(rows, paired=True).tolist() for rank in range(3)]
    assert paired == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]


def test_one_process_is_a_world_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_world() as world:
        assert (world.rank, world.size, world.any(True), world.any(False)) == (0, 1, True, False)
        network = nn.Sequential(nn.BatchNorm2d(3))
        assert with_shared_statistics(network, world) is network
        assert isinstance(network[0], nn.BatchNorm2d)
