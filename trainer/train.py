"""The training loop, top to bottom. A stopped run goes on where it was, step for step."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from firmware_config.errors import BadInput, DiskFault
from firmware_config.flag import Flag
from trainer import data
from trainer.config import Config
from trainer.images.sources import load_faces
from trainer.images.style import read_style
from trainer.loop.checkpoint import LOG, resume, save
from trainer.loop.feed import Kitchen, batches, prepared, step_seed
from trainer.loop.objective import Objective
from trainer.loop.pretrained import CHECKPOINT
from trainer.loop.run import Best, Run, autocast_type, build_network, build_run, kept_type
from trainer.loop.world import ALONE, World
from trainer.measuring.validation import embed, validate
from trainer.parts import Stage
from trainer.progress import watching

__all__ = ["CHECKPOINT", "LOG", "build_network", "embed", "load_faces", "train", "validate"]
# Whoever reads a run finds here what a run is read with.


def train(  # noqa: C901, PLR0912, PLR0915 - flat on purpose: the loop is read top to bottom
    config: Config,
    faces: data.Faces,
    split: data.Split,
    folder: Path,
    say: Callable[[str], None] | None = None,
    world: World = ALONE,
    board: Path | None = None,
) -> Run:
    """Trains, or goes on with, the run kept in `folder`.

    say: where lines of progress go, None for the terminal; board: folder for TensorBoard. Raises BadState when the
    folder's run is of another configuration, BadInput for a configuration without stages or one that does not learn,
    DiskFault when the end cannot be written. Ctrl-C and SIGTERM save and raise KeyboardInterrupt. The flat loop is
    nanoGPT's.
    """
    if not config.stage:
        raise BadInput(f"{config.name} has teachers and no stages: use `latchkey-trainer distill`.")
    torch.set_num_threads(max(1, config.threads // world.size))
    training, validation = faces.take(split.train), faces.take(split.validation)
    style = read_style(config.style, *training.pixels.shape[2:]) if config.style is not None else None
    folder.mkdir(parents=True, exist_ok=True)
    run = resume(config, training, folder, world) or build_run(config, training, world)
    network, precision, kept = world.ready(run.network), autocast_type(config, world), kept_type(config)
    parameters = [p for group in run.optimiser.param_groups for p in group["params"]]
    steps_each = [sum(1 for _ in batches(s, training.identities, config.seed, 0)) for s in config.stage]
    total = sum(steps * stage.epochs for steps, stage in zip(steps_each, config.stage, strict=True))
    last, epoch, saved = 0, 0, time.monotonic()
    work = work_left(config, steps_each, run.step)
    with watching(total, work, run.step, say, board, world.first) as watch, stop_signals() as stop:
        watch.say(f"{config.name}: {len(training)} images of {training.people} people, {total} steps, from {run.step}")
        for stage, steps in zip(config.stage, steps_each, strict=True):
            objective = Objective(stage, run.heads)
            kitchen = Kitchen(config, stage, training, style, world)
            begin = last
            for stage_epoch in range(1, stage.epochs + 1):
                epoch += 1
                first, last = last, last + steps  # the epoch's steps are first + 1 to last
                if last <= run.step or run.stopped_early:  # done before the run was stopped
                    continue
                rows = islice(batches(stage, training.identities, config.seed, epoch), run.step - first, None)
                for images, identities in prepared(kitchen, rows, run.step):
                    step = run.step + 1
                    rate = rate_at(config, stage, step, (step - 1 - begin) / (stage.epochs * steps))
                    for group in run.optimiser.param_groups:
                        group["lr"] = rate

                    network.train()
                    torch.manual_seed(step_seed(config, step) + (world.rank << 40))  # dropout's
                    with torch.autocast(world.device.type, precision, enabled=precision.itemsize < 4):
                        own = network(images.to(kept)).to(kept)
                    rows_made = nn.functional.normalize(own) if config.network.unit_rows else own
                    embeddings = world.gather(rows_made, stage.sampler == "pairs")
                    chance = torch.Generator().manual_seed(step_seed(config, step))
                    loss = objective(embeddings, identities, chance)
                    if not bool(loss.isfinite()):
                        raise BadInput(
                            f"The loss of step {step} is no number any more. Lower learning_rate in {config.name}, or "
                            f"raise warmup_steps; {folder} keeps what was saved before."
                        )
                    run.optimiser.zero_grad(set_to_none=True)
                    run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                    run.scaler.unscale_(run.optimiser)
                    if config.largest_gradient:
                        nn.utils.clip_grad_norm_(parameters, config.largest_gradient)
                    run.scaler.step(run.optimiser)
                    run.scaler.update()
                    run.step = step
                    run.follow(config.average)
                    run.history.append({"step": step, "loss": float(loss.detach()), "rate": rate})

                    watch.stepped(
                        step, stage.batch * stage.pixels**2, run.history[-1], f"epoch {epoch} {stage.pixels}px"
                    )
                    if world.any(stop.is_set()):
                        break
                    if world.first and step < last and time.monotonic() - saved > config.checkpoint_minutes * 60:
                        try:
                            save(config, training, run, folder)
                        except DiskFault as fault:  # there may be room again before the end
                            watch.say(str(fault))
                        saved = time.monotonic()

                due = epoch % config.validate_every == 0 or stage_epoch == stage.epochs
                if run.step == last and len(validation) and due:
                    scores = validate(config, run.result, validation, stage.pixels, run.heads, world)
                    run.history[-1].update(scores)
                    watch.validated(run.step, epoch, scores)
                    run.stopped_early = no_longer_better(config, run, scores, epoch)
                if world.any(stop.is_set()):
                    if world.first:
                        save(config, training, run, folder)
                    raise KeyboardInterrupt
        if world.first:
            save(config, training, run, folder)
        if run.best is not None:
            watch.say(f"the result is epoch {run.best.epoch}'s")
            run.result.load_state_dict(run.best.weights)
            run.heads.load_state_dict(run.best.heads)
    return run


def rate_at(config: Config, stage: Stage, step: int, part: float) -> float:
    """The learning rate: half a cosine over the stage, 0 <= part < 1, after a straight start over the first steps."""
    first, last = stage.learning_rate
    rate = last + (first - last) * (1 + math.cos(math.pi * part)) / 2
    return rate * (min(1.0, step / config.warmup_steps) if config.warmup_steps else 1.0)


def work_left(config: Config, steps_each: list[int], done: int) -> float:
    """Pixels to see in all steps after the first `done`: what the time left goes by."""
    left = 0.0
    for stage, steps in zip(config.stage, steps_each, strict=True):
        own = steps * stage.epochs
        left += max(0, own - done) * stage.batch * stage.pixels**2
        done = max(0, done - own)
    return left


def no_longer_better(config: Config, run: Run, scores: dict[str, float], epoch: int) -> bool:
    """Keeps the best epoch's weights; true when none has been better for as long as the configuration waits."""
    how = config.early_stop
    if how is None:
        return False
    score = scores[how.score] if how.score == "eer" else -scores[how.score]
    if run.best is None or score < run.best.score:
        weights, heads = (
            {name: value.detach().clone() for name, value in each.state_dict().items()}
            for each in (run.result, run.heads)
        )
        run.best = Best(score, epoch, weights, heads)
    return epoch - run.best.epoch >= how.patience * config.validate_every


@contextmanager
def stop_signals() -> Iterator[Flag]:
    """A flag that Ctrl-C and SIGTERM set, so that a step is never left half done; the second one ends at once."""
    stop = Flag()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stopping(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)

    for number in before:
        signal.signal(number, stopping)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
