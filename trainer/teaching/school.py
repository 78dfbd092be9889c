"""A student and its workers, and the checkpoint that a stopped run goes on from."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from firmware_config.errors import BadInput, BadState
from trainer.config import Config, Distillation
from trainer.loop.averaging import Centre
from trainer.loop.checkpoint import code_version, recall, refuse_damaged, write
from trainer.loop.pretrained import CHECKPOINT


class NoNumber(BadInput):
    """A loss that is no number any more. The weights are spoilt, and nothing of them is saved."""


@dataclass
class Worker:
    """One copy of the student with its optimisers. The lock is held during a step, so that nothing half done is
    saved."""

    number: int
    student: nn.Module
    optimisers: list[torch.optim.Optimizer]
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class School:
    """All that a stopped run needs to go on."""

    config: Config
    plan: Distillation
    images: str
    """Fingerprint of the training crops."""
    inherited: list[str]
    """What the weights were trained on that it began with."""
    result: nn.Module
    """Takes the centre's weights when they are wanted."""
    centre: Centre
    workers: list[Worker]
    steps: int
    """Of each worker, altogether."""


def save(school: School, folder: Path) -> None:
    """Checkpoint and log, each replaced whole. Workers wait for it between two steps.

    Raises DiskFault; the old ones are then as they were.
    """
    code = code_version()  # asks git, which nobody shall wait for
    locked = [worker.lock for worker in school.workers]
    for lock in locked:
        lock.acquire()
    try:
        school.centre.give(school.result)
        state: dict[str, Any] = {
            "config": school.config.model_dump(mode="json"),
            "images": school.images,
            "code": code,
            "inherited": school.inherited,
            "network": school.result.state_dict(),
            "step": school.workers[0].step,
            "workers": [
                {
                    "student": worker.student.state_dict(),
                    "optimisers": [optimiser.state_dict() for optimiser in worker.optimisers],
                    "step": worker.step,
                    "history": worker.history,
                }
                for worker in school.workers
            ],
        }
        stream = io.BytesIO()
        torch.save(state, stream)
        history = [entry for worker in school.workers for entry in worker.history]
    finally:
        for lock in locked:
            lock.release()
    write(folder, stream.getvalue(), history, state["step"])


def resume(school: School, folder: Path) -> None:
    """Puts every worker where it was, with the rates and decays that the configuration says now.

    Raises BadState when the folder's run has other settings, crops or workers, or its checkpoint is not whole.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return
    with refuse_damaged(path):
        state = torch.load(path, map_location="cpu", weights_only=True)
        kept, workers = Config.model_validate(state["config"]), state.get("workers", ())
        ours = (*meaning(school.config), school.images, school.plan.workers)
        if (*meaning(kept), state["images"], len(workers)) != ours:
            raise BadState(
                f"{path} was made from another network, start, split, teacher, whitening, older encoder, images or "
                "number of workers. Choose another --out folder."
            )
        school.result.load_state_dict(state["network"])
        school.centre = Centre(school.result, school.plan.workers)
        school.inherited = list(state.get("inherited", ()))  # a run of before this was noted began with nothing
        for worker, was in zip(school.workers, workers, strict=True):
            worker.student.load_state_dict(was["student"])
            for optimiser, memory in zip(worker.optimisers, was["optimisers"], strict=True):
                recall(optimiser, memory)
            worker.step, worker.history = int(was["step"]), list(was["history"])


def meaning(config: Config) -> tuple[object, ...]:
    """What a checkpoint's numbers mean: two configurations that agree on it can go on with each other's runs."""
    taught = (config.distill.old, config.distill.whiten) if config.distill is not None else None
    return config.network, config.start, config.data, config.seed, config.teacher, taught
