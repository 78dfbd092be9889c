"""How far a training is: a bar with the time left on a terminal, plain lines elsewhere, TensorBoard where asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from firmware_config.errors import BadInput

STEPS_BETWEEN_LINES: Final = 50
"""A plain line of progress every half minute or so on two cores."""


class Watcher(Protocol):
    """Is told what happens in a training."""

    def say(self, line: str) -> None:
        """A line for a person."""
        ...

    def stepped(self, step: int, work: float, values: dict[str, float], where: str) -> None:
        """After every step. work: what this step cost, in the units of the whole; where: epoch and image size."""
        ...

    def validated(self, step: int, epoch: int, scores: dict[str, float]) -> None:
        """After a validation."""
        ...


class Silent:
    """For all processes but the first."""

    def say(self, line: str) -> None:
        """Nothing."""

    def stepped(self, step: int, work: float, values: dict[str, float], where: str) -> None:
        """Nothing."""

    def validated(self, step: int, epoch: int, scores: dict[str, float]) -> None:
        """Nothing."""


class Lines:
    """A line now and then, for logs and pipes."""

    def __init__(self, say: Callable[[str], None], total: int, work: float) -> None:
        """total: steps; work: that is left altogether."""
        self._say, self._total, self._left = say, total, work
        self._began, self._done = time.monotonic(), 0.0
        self._losses: list[float] = []

    def say(self, line: str) -> None:
        """As Watcher."""
        self._say(line)

    def stepped(self, step: int, work: float, values: dict[str, float], where: str) -> None:
        """As Watcher."""
        self._done += work
        self._losses.append(values["loss"])
        if step % STEPS_BETWEEN_LINES == 0:
            minutes = (self._left - self._done) / self._done * (time.monotonic() - self._began) / 60
            mean = sum(self._losses) / len(self._losses)
            self._losses.clear()
            self._say(
                f"step {step}/{self._total} {where} loss {mean:.3f} rate {values['rate']:.1e} {minutes:.0f} min left"
            )

    def validated(self, step: int, epoch: int, scores: dict[str, float]) -> None:  # noqa: ARG002
        """As Watcher."""
        self._say(_sentence(epoch, scores))


class Bar:
    """A bar on a terminal."""

    def __init__(self, progress: Progress, task: TaskID, total: int) -> None:
        self._progress, self._task, self._total = progress, task, total

    def say(self, line: str) -> None:
        """As Watcher."""
        self._progress.console.print(line, markup=False, highlight=False)

    def stepped(self, step: int, work: float, values: dict[str, float], where: str) -> None:
        """As Watcher."""
        text = f"step {step}/{self._total} {where} loss {values['loss']:.3f}"
        self._progress.update(self._task, advance=work, description=text)

    def validated(self, step: int, epoch: int, scores: dict[str, float]) -> None:  # noqa: ARG002
        """As Watcher."""
        self.say(_sentence(epoch, scores))


class Board:
    """Another watcher, and TensorBoard's files besides."""

    def __init__(self, other: Watcher, writer: Any) -> None:
        self._other, self._writer = other, writer

    def say(self, line: str) -> None:
        """As Watcher."""
        self._other.say(line)

    def stepped(self, step: int, work: float, values: dict[str, float], where: str) -> None:
        """As Watcher."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._other.stepped(step, work, values, where)

    def validated(self, step: int, epoch: int, scores: dict[str, float]) -> None:
        """As Watcher."""
        for name, value in scores.items():
            self._writer.add_scalar(f"validation/{name}", value, step)
        self._other.validated(step, epoch, scores)


@contextmanager
def watching(
    total: int, work: float, step: int, say: Callable[[str], None] | None, board: Path | None, first: bool = True
) -> Iterator[Watcher]:
    """A watcher for a run of `total` steps, with so much work left, that goes on from `step`.

    say: where lines go; None: a bar on a terminal, else standard output. board: folder of TensorBoard's files, None
    for none; first: whether this process is the one that speaks. Raises BadInput when TensorBoard is wanted and not
    installed.
    """
    if not first:
        yield Silent()
        return
    if say is None and sys.stdout.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
        with (
            Progress(*columns) as progress,
            _boarded(Bar(progress, progress.add_task("", total=work), total), board, step) as bar,
        ):
            yield bar
        return
    with _boarded(Lines(say or _print, total, work), board, step) as lines:
        yield lines


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Calls to what it gives count to `total`: a bar with the time left on a terminal, silence elsewhere."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


@contextmanager
def _boarded(watcher: Watcher, folder: Path | None, step: int) -> Iterator[Watcher]:
    if folder is None:
        yield watcher
        return
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # optional
    except ImportError as error:
        raise BadInput("TensorBoard is not installed: pip install tensorboard, or leave out --tensorboard.") from error
    # What a run wrote after the step that it goes on from did not happen.
    writer = SummaryWriter(str(folder), purge_step=step + 1)
    try:
        yield Board(watcher, writer)
    finally:
        writer.close()


def _sentence(epoch: int, scores: dict[str, float]) -> str:
    return f"epoch {epoch}: " + ", ".join(f"{key} {value:.4f}" for key, value in scores.items())


def _print(line: str) -> None:
    print(line, flush=True)
