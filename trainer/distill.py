"""Teachers teach a student: the loop, and what its workers do."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from firmware_config.errors import BadInput, DiskFault
from firmware_config.flag import Flag
from trainer import data
from trainer.config import Config, Distillation
from trainer.loop.averaging import Centre
from trainer.loop.muon import optimisers
from trainer.loop.run import PRECISIONS, begin_network
from trainer.losses import regression
from trainer.measuring.validation import embed
from trainer.teaching.kept import KeptLessons
from trainer.teaching.lessons import Lessons, TurnedLessons, order
from trainer.teaching.live import LiveLessons
from trainer.teaching.old_space import CompatibleLessons, homes, load_old
from trainer.teaching.school import NoNumber, School, Worker, resume, save
from trainer.teaching.teachers import load_teacher
from trainer.train import stop_signals, validate

STEPS_BETWEEN_LINES: Final = 50
LOOK_S: Final = 1.0
"""Between two looks at how far the workers are."""


def distill(
    config: Config,
    faces: data.Faces,
    split: data.Split,
    folder: Path,
    say: Callable[[str], None] = print,
    cache_dir: Path | None = None,
) -> School:
    """Teaches, or goes on with, the run kept in `folder`.

    Raises BadInput for a configuration without teachers or one that does not learn, BadState when the folder is of
    another run, DiskFault when the end cannot be written, LostLink when a teacher cannot be fetched. Ctrl-C and SIGTERM
    save and raise KeyboardInterrupt. Hinton, Vinyals, Dean 2015.
    """
    if config.distill is None:
        raise BadInput(f"{config.name} has stages and no teachers: use `latchkey-trainer train`.")
    plan = config.distill
    torch.set_num_threads(1 if plan.workers > 1 else config.threads)
    training, validation = faces.take(split.train), faces.take(split.validation)
    school = build_school(config, plan, training)
    lessons = open_lessons(config, plan, training, folder, say, cache_dir, school.result if config.start else None)
    resume(school, folder)
    say(f"{config.name}: {len(training)} crops, {school.steps} steps of {plan.workers} x {plan.batch}")

    saved = time.monotonic()
    with stop_signals() as stop, ThreadPoolExecutor(plan.workers) as pool:
        try:
            running = [pool.submit(learn, school, worker, lessons, stop) for worker in school.workers]
            said = school.workers[0].step
            while wait(running, timeout=LOOK_S).not_done:
                first = school.workers[0]
                if any(each.done() and each.exception() for each in running):
                    break
                if first.step - said >= STEPS_BETWEEN_LINES:
                    said = first.step
                    say(line_of(school))
                if time.monotonic() - saved > config.checkpoint_minutes * 60:
                    save_on_the_way(school, folder, say)
                    saved = time.monotonic()
        finally:
            stopped = stop.is_set()
            stop.set()
            wait(running)
            if not any(isinstance(each.exception(), NoNumber) for each in running):
                save(school, folder)
    for each in running:
        each.result()
    if stopped:
        raise KeyboardInterrupt
    if len(validation):
        scores = validate(config, school.result, validation, 112)
        say("validation: " + ", ".join(f"{key} {value:.4f}" for key, value in scores.items()))
        school.workers[0].history[-1].update(scores)
        save(school, folder)
    return school


def open_lessons(
    config: Config,
    plan: Distillation,
    training: data.Faces,
    folder: Path,
    say: Callable[[str], None],
    cache_dir: Path | None,
    begun: nn.Module | None = None,
) -> Lessons:
    """The lessons that the configuration asks for; kept ones are written first, into folder/lessons.

    begun: a student that has learnt before. What it knows stays where it is; the teachers' numbers are turned to it.
    """
    lessons: Lessons
    if plan.lessons == "live":
        device = device_of(plan)
        teachers = [load_teacher(file, cache_dir, config.threads, device) for file in config.teacher]
        lessons = LiveLessons(teachers, training, config, device)
    else:
        lessons = kept = KeptLessons(config, training, folder / "lessons")
        kept.prepare(lambda: [load_teacher(file, cache_dir, config.threads) for file in config.teacher], say)
    if plan.old is not None:
        home = homes(load_old(plan.old, config.threads), training, folder / "lessons", say)
        return CompatibleLessons(TurnedLessons(lessons, lambda rows: home[rows]), home, plan.old.weight)
    if begun is not None:
        return TurnedLessons(lessons, lambda rows: embed(config, begun, training.centre()[rows]))
    return lessons


def build_school(config: Config, plan: Distillation, training: data.Faces) -> School:
    """A run at step 0. Raises BadInput, BadState."""
    result, inherited = begin_network(config)
    workers = [
        Worker(number, student, optimisers(student, plan.rate, plan.rate_rest, plan.decay))
        for number, student in enumerate(copy.deepcopy(result).to(device_of(plan)) for _ in range(plan.workers))
    ]
    steps = max(1, plan.crops // (plan.batch * plan.workers))
    return School(config, plan, training.fingerprint(), inherited, result, Centre(result, plan.workers), workers, steps)


def learn(school: School, worker: Worker, lessons: Lessons, stop: Flag) -> None:
    """One worker's steps, until all are done or `stop` is set. Raises NoNumber."""
    config, plan = school.config, school.plan
    device = device_of(plan)
    kind = PRECISIONS.get(config.precision, torch.bfloat16 if device.type == "cuda" else torch.float32)
    turns = order(lessons.count, lessons.turns, plan.batch, worker.number, plan.workers, config.seed)
    for look, rows in islice(turns, worker.step, school.steps):
        if stop.is_set():
            break
        random = np.random.default_rng([config.seed, worker.number, worker.step])
        lesson = lessons.read(look, rows, random)
        images = lesson.images.to(device)
        targets = torch.from_numpy(lesson.targets).to(device)
        part = worker.step / school.steps
        warm = min(1.0, (worker.step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
        with worker.lock:
            for optimiser, rate in zip(worker.optimisers, (plan.rate, plan.rate_rest), strict=True):
                for group in optimiser.param_groups:
                    group["lr"] = warm * rate * (1 + math.cos(math.pi * part)) / 2
                optimiser.zero_grad(set_to_none=True)
            worker.student.train()
            with torch.autocast(device.type, kind, enabled=kind.itemsize < 4):
                rows_made = worker.student(images)
            loss = regression(nn.functional.normalize(rows_made.float()), targets)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise NoNumber(
                    f"The loss of step {worker.step + 1} is no number any more. Lower rate and rate_rest in "
                    f"{config.name}'s [distill], or raise warmup_steps; what was saved before is kept."
                )
            loss.backward()  # type: ignore[no-untyped-call]
            for optimiser in worker.optimisers:
                optimiser.step()
            worker.step += 1
            worker.history.append({"step": worker.step, "worker": worker.number, "loss": value})
            if worker.step % plan.sync == 0 or worker.step == school.steps:
                school.centre.meet(worker.student)


def device_of(plan: Distillation) -> torch.device:
    """A GPU only for live lessons: kept ones are written for machines without."""
    return torch.device("cuda" if plan.lessons == "live" and torch.cuda.is_available() else "cpu")


def line_of(school: School) -> str:
    """Progress of the first worker, for a person."""
    first = school.workers[0]
    recent = [entry["loss"] for entry in first.history[-STEPS_BETWEEN_LINES:]]
    return f"step {first.step}/{school.steps} loss {sum(recent) / len(recent):.3f}"


def save_on_the_way(school: School, folder: Path, say: Callable[[str], None]) -> None:
    """A full disk is said and no end of the training: there may be room again before that."""
    try:
        save(school, folder)
    except DiskFault as fault:
        say(str(fault))
