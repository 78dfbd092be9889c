"""A run on disk: written whole or not at all, and gone on with only by the run that it is of."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import ValidationError

from firmware_config.errors import BadState, DiskFault
from firmware_config.files import write_atomic
from trainer import data
from trainer.config import Config
from trainer.loop.pretrained import CHECKPOINT, fault_of
from trainer.loop.run import Best, Run, build_run
from trainer.loop.world import ALONE, World

LOG: Final = "log.jsonl"

UNREADABLE: Final = (KeyError, ValueError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError, ValidationError)
"""What torch and pydantic raise for one damage or another."""


def save(config: Config, training: data.Faces, run: Run, folder: Path) -> None:
    """Checkpoint and log of the run, each replaced whole. Raises DiskFault; the old ones are then as they were.

    "network" and "heads" are the result (the best epoch's or the averaged weights where the run has such), for whoever
    exports and judges; "weights" and "head_weights" are where the training stands.
    """
    weights = run.network.state_dict()
    average = run.average.state_dict() if run.average is not None else None
    state: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "images": training.fingerprint(),
        "code": code_version(),
        "inherited": run.inherited,
        "network": run.best.weights if run.best is not None else average or weights,
        "weights": weights,
        "average": average,
        "best": asdict(run.best) if run.best is not None else None,
        "heads": run.best.heads if run.best is not None else run.heads.state_dict(),
        "head_weights": run.heads.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "scaler": run.scaler.state_dict(),
        "step": run.step,
        "stopped_early": run.stopped_early,
        "history": run.history,
    }
    stream = io.BytesIO()
    torch.save(state, stream)
    write(folder, stream.getvalue(), run.history, run.step)


def write(folder: Path, checkpoint: bytes, history: list[dict[str, float]], step: int) -> None:
    """Both files of a run, each replaced whole. Raises DiskFault; the old ones are then as they were."""
    log = "".join(json.dumps(line) + "\n" for line in history).encode()
    try:
        write_atomic(folder / CHECKPOINT, checkpoint, 0o644)
        write_atomic(folder / LOG, log, 0o644)
    except OSError as error:
        raise DiskFault(
            f"The checkpoint of step {step} cannot be written to {folder} ({error.strerror}); an older one there "
            "is whole. Make room, and the same command goes on from that."
        ) from error


@contextmanager
def refuse_damaged(path: Path) -> Iterator[None]:
    """Around the reading of a checkpoint: raises BadState for whatever torch and pydantic make of a damaged one."""
    try:
        yield
    except UNREADABLE as error:
        raise BadState(
            f"{path} is not a whole checkpoint of this version ({fault_of(error)}). Choose another --out folder."
        ) from error


def recall(optimiser: torch.optim.Optimizer, memory: dict[str, Any]) -> None:
    """Gives it the momenta of a saved one. Its settings stay the configuration's: decay may be changed on the way."""
    settings = [{key: value for key, value in each.items() if key != "params"} for each in optimiser.param_groups]
    optimiser.load_state_dict(memory)
    for group, own in zip(optimiser.param_groups, settings, strict=True):
        group.update(own)


def resume(config: Config, training: data.Faces, folder: Path, world: World = ALONE) -> Run | None:
    """The run kept in `folder`, or None. Raises BadState when it was made from other settings or images."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    with refuse_damaged(path):
        state = torch.load(path, map_location="cpu", weights_only=True)
        kept = Config.model_validate(state["config"])
        # Stages may be changed on the way, say to end sooner; what the weights mean may not.
        weights, heads = state["weights"], state.get("head_weights", state["heads"])
        same = (*meaning(kept), state["images"]) == (*meaning(config), training.fingerprint())
    if not same:
        raise BadState(
            f"{path} was made from another network, start, split, images, optimiser or losses. Choose another --out "
            "folder."
        )
    run = build_run(config.model_copy(update={"start": ""}), training, world)
    run.network.load_state_dict(weights)
    if run.average is not None:
        run.average.load_state_dict(state["average"])
    run.heads.load_state_dict(heads)
    recall(run.optimiser, state["optimiser"])
    run.scaler.load_state_dict(state["scaler"])
    run.inherited = list(state.get("inherited", ()))  # a run of before this was noted began with nothing
    run.best = Best(**state["best"]) if state["best"] is not None else None
    run.step, run.stopped_early, run.history = int(state["step"]), bool(state["stopped_early"]), list(state["history"])
    return run


def meaning(config: Config) -> tuple[object, ...]:
    """What a checkpoint's numbers mean: two configurations that agree on it can go on with each other's runs."""
    learned = sorted({loss.name for stage in config.stage for loss in stage.loss})
    return config.network, config.start, config.data, config.seed, config.optimiser, bool(config.average), learned


def code_version() -> str:
    """The package's version, and the commit where the code runs from a checkout."""
    try:
        installed = version("latchkey")
    except PackageNotFoundError:
        installed = "unknown"
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return installed
    try:
        found = subprocess.run(  # noqa: S603  # nothing of it comes from outside
            ["git", "-C", str(here), "describe", "--always", "--dirty"],  # noqa: S607  # wherever git is
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):  # no git here: the version has to do
        return installed
    return f"{installed} ({found.stdout.strip()})"
