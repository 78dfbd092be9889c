"""The training loop, top to bottom. A stopped run goes on where it was, step for step."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from firmware_config.errors import BadInput, BadState
from firmware_config.face import CROP_SIZE, FloatArray, ImageArray
from firmware_config.files import write_atomic
from trainer import data
from trainer.config import Config
from trainer.encoders import FusedFaceNet, MobileFaceNet, Tutorial
from trainer.feed import ahead, as_input, batches, prepared, step_seed
from trainer.metrics import equal_error_rate, pair_table, true_accept_rate
from trainer.objective import Heads, Objective

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
STEPS_BETWEEN_LINES = 50
"""A line of progress every half minute or so on two cores."""


@dataclass
class Run:
    """All that a stopped run needs to go on, beside the configuration."""

    network: nn.Module
    heads: Heads
    optimiser: torch.optim.Optimizer
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def load_faces(config: Config, folder: Path, cache_dir: Path | None = None) -> tuple[data.Faces, data.Split]:
    """The run's images and their split; unnamed images join the training rows. Raises BadInput, LostLink."""
    if config.data.source == "att":
        faces = data.read_att(config.stage[0].pixels, cache_dir)
        split = data.split_people(
            faces.identities, config.seed, config.data.calibration_people, config.data.validation_people
        )
        return faces, split
    faces = data.read_shards(data.shards(folder, config.data.named))
    split = data.split_people(
        faces.identities, config.seed, config.data.calibration_people, config.data.validation_people
    )
    if config.data.unnamed_images:
        unnamed = data.read_shards(data.shards(folder, config.data.unnamed), config.data.unnamed_images)
        added = np.arange(len(faces), len(faces) + len(unnamed))
        faces = data.join(faces, unnamed)
        split = data.Split(np.concatenate([split.train, added]), split.calibration, split.validation)
    return faces, split


def build_network(config: Config) -> nn.Module:
    """The network that the configuration names, with weights drawn from its seed."""
    torch.manual_seed(config.seed)
    if config.network.kind == "tutorial":
        return Tutorial(config.network.dropout)
    if config.network.kind == "fusedfacenet":
        network: nn.Module = FusedFaceNet(config.network.blocks)
    else:
        network = MobileFaceNet(config.network.width, config.network.stem)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def build_run(config: Config, training: data.Faces) -> Run:
    """A run at step 0."""
    network = build_network(config)
    outputs = embed(config, network, training.pixels[:1], pixels=config.stage[0].pixels).shape[1]
    heads = Heads(config, training.people, outputs)
    # Class weights do not decay: they are normalised in the loss, and decay would only raise their rate.
    groups = [{"params": list(network.parameters()), "weight_decay": config.weight_decay}]
    groups.append({"params": list(heads.parameters()), "weight_decay": 0.0})
    if config.optimiser == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    elif config.optimiser == "adamw":
        optimiser = torch.optim.AdamW(groups, lr=1e-3, fused=True)
    else:
        optimiser = torch.optim.Adam(groups, lr=1e-3, fused=True)
    return Run(network, heads, optimiser)


def train(  # noqa: C901, PLR0915 - flat on purpose: the loop is read top to bottom
    config: Config, faces: data.Faces, split: data.Split, folder: Path, say: Callable[[str], None] = print
) -> Run:
    """Trains, or goes on with, the run kept in `folder`.

    Raises BadState when that is of another configuration, BadInput for a configuration without stages.

    Ctrl-C saves and raises KeyboardInterrupt. The flat loop is nanoGPT's.
    """
    if not config.stage:
        raise BadInput(f"{config.name} has teachers and no stages: use `latchkey-trainer distill`.")
    torch.set_num_threads(config.threads)
    training = faces.take(split.train)
    validation = faces.take(split.validation)
    folder.mkdir(parents=True, exist_ok=True)
    run = resume(config, training, folder) or build_run(config, training)
    steps_each = [sum(1 for _ in batches(s, training.identities, config.seed, 0)) for s in config.stage]
    total = sum(steps * stage.epochs for steps, stage in zip(steps_each, config.stage, strict=True))
    began, saved, worked, work_done, step, epoch = time.monotonic(), time.monotonic(), 0.0, 0.0, 0, 0
    all_work = sum(n * s.epochs * s.batch * s.pixels**2 for n, s in zip(steps_each, config.stage, strict=True))
    say(f"{config.name}: {len(training)} images of {training.people} people, {total} steps, from {run.step}")
    try:
        for stage, steps in zip(config.stage, steps_each, strict=True):
            objective = Objective(stage, run.heads)
            for stage_epoch in range(stage.epochs):
                epoch += 1
                cost = stage.batch * stage.pixels**2
                if step + steps <= run.step:  # done before the run was stopped
                    step += steps
                    worked += cost * steps
                    continue
                skipped = max(0, run.step - step)  # batches of this epoch done before the run was stopped
                step += skipped
                worked += cost * skipped
                rows = islice(batches(stage, training.identities, config.seed, epoch), skipped, None)
                feed = ahead(prepared(config, stage, training, rows, step))
                for number, (images, identities) in enumerate(feed, start=skipped):
                    step += 1
                    worked += cost
                    part = (stage_epoch * steps + number) / (stage.epochs * steps)
                    first, last = stage.learning_rate
                    rate = last + (first - last) * (1 + math.cos(math.pi * part)) / 2
                    rate *= min(1.0, step / config.warmup_steps) if config.warmup_steps else 1.0
                    for group in run.optimiser.param_groups:
                        group["lr"] = rate

                    run.network.train()
                    torch.manual_seed(step_seed(config, step))  # dropout's
                    embeddings = run.network(images)
                    if config.network.unit_rows:
                        embeddings = nn.functional.normalize(embeddings)
                    loss = objective(embeddings, identities, torch.Generator().manual_seed(step_seed(config, step)))
                    run.optimiser.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    parameters = [p for group in run.optimiser.param_groups for p in group["params"]]
                    nn.utils.clip_grad_norm_(parameters, 5.0)
                    run.optimiser.step()
                    run.step = step
                    run.history.append({"step": step, "loss": float(loss.detach()), "rate": rate})

                    work_done += cost
                    if step % STEPS_BETWEEN_LINES == 0:
                        left = (all_work - worked) / (work_done / (time.monotonic() - began))
                        recent = [entry["loss"] for entry in run.history[-STEPS_BETWEEN_LINES:]]
                        say(
                            f"step {step}/{total} epoch {epoch} {stage.pixels}px "
                            f"loss {np.mean(recent):.3f} rate {rate:.1e} {left / 60:.0f} min left"
                        )
                    if time.monotonic() - saved > config.checkpoint_minutes * 60:
                        save(config, training, run, folder)
                        saved = time.monotonic()
                if len(validation):
                    scores = validate(config, run.network, validation, stage.pixels)
                    run.history[-1].update(scores)
                    say(f"epoch {epoch}: " + ", ".join(f"{key} {value:.4f}" for key, value in scores.items()))
    finally:
        save(config, training, run, folder)
    return run


def embed(
    config: Config, network: nn.Module, crops: ImageArray, batch: int = 128, pixels: int = CROP_SIZE
) -> FloatArray:
    """Embeddings in float, as training sees them. The door's come from device.embed and the int8 file.

    `pixels` shrinks the door's crops first, for a network that so far trained on smaller images only.

    crops: uint8[N, S, S, C] -> float32[N, D], unit rows for the door's network only.
    """
    network.eval()
    found: list[FloatArray] = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            images = as_input(config, torch.from_numpy(np.ascontiguousarray(crops[start : start + batch])))
            if config.network.for_door and pixels != CROP_SIZE:
                images = nn.functional.interpolate(images, size=(pixels, pixels), mode="area")
                images = images.contiguous(memory_format=torch.channels_last)
            rows = network(images)
            found.append((nn.functional.normalize(rows) if config.network.unit_rows else rows).numpy())
    return np.concatenate(found)


def validate(config: Config, network: nn.Module, faces: data.Faces, pixels: int) -> dict[str, float]:
    """EER and TAR at FMR 1e-2 and 1e-3 over all pairs of people that the network does not train on."""
    crops = faces.centre() if config.network.for_door else faces.pixels
    table = pair_table(embed(config, network, crops, pixels=pixels), faces.identities)
    return {
        "eer": equal_error_rate(table.genuine, table.impostor),
        "tar_1e-2": true_accept_rate(table.genuine, table.impostor, 1e-2),
        "tar_1e-3": true_accept_rate(table.genuine, table.impostor, 1e-3),
    }


def save(config: Config, training: data.Faces, run: Run, folder: Path) -> None:
    """Checkpoint and log of the run, each replaced whole."""
    state: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "images": training.fingerprint(),
        "network": run.network.state_dict(),
        "heads": run.heads.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "step": run.step,
        "history": run.history,
    }
    stream = io.BytesIO()
    torch.save(state, stream)
    write_atomic(folder / CHECKPOINT, stream.getvalue(), 0o644)
    write_atomic(folder / LOG, "".join(json.dumps(line) + "\n" for line in run.history).encode(), 0o644)


def resume(config: Config, training: data.Faces, folder: Path) -> Run | None:
    """The run kept in `folder`, or None. Raises BadState when it was made from other settings or images."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    # Stages may be changed on the way, say to end sooner; what the weights mean may not.
    kept = Config.model_validate(state["config"])
    if (kept.network, kept.data, kept.seed, state["images"]) != (
        config.network,
        config.data,
        config.seed,
        training.fingerprint(),
    ):
        raise BadState(f"{path} was made from another network, split or images. Choose another --out folder.")
    run = build_run(config, training)
    run.network.load_state_dict(state["network"])
    run.heads.load_state_dict(state["heads"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.step, run.history = int(state["step"]), list(state["history"])
    return run
