"""The articles' pictures: how the loss fell, and pairs of people held out with their dissimilarity."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from firmware_config.errors import BadInput
from firmware_config.files import write_atomic
from trainer.measuring import figures
from trainer.measuring.held_out import held_out_trial
from trainer.measuring.metrics import equal_error_rate
from trainer.measuring.report import as_png
from trainer.measuring.trial import Trial

GRID_PAIRS: Final = 8
"""Pairs in the picture: two rows of four."""


def tutorial_report(run: Path, out: Path, cache_dir: Path | None = None) -> list[Path]:
    """Writes tutorial-loss.png and tutorial-pairs.png of a run of the tutorial's network into `out`.

    Raises BadInput when the run is not the tutorial's, LostLink when AT&T cannot be fetched. The pictures show
    AT&T faces, which that set's terms allow with thanks to AT&T Laboratories Cambridge.
    """
    trial = held_out_trial(run, Path(), cache_dir)
    if not (trial.subject.startswith("tutorial") and trial.may_show):
        raise BadInput(f"{run} is not a run of the tutorial's network on AT&T faces.")
    table = trial.table()
    loss = figures.loss_curve([entry["loss"] for entry in trial.log])
    eer = equal_error_rate(table.genuine, table.impostor)
    people = len(np.unique(trial.identities))
    loss.axes[0].set_title(f"Tutorial network, AT&T: EER {eer:.3f} on {people} people it never saw")
    paths = []
    for name, figure in (("tutorial-loss.png", loss), ("tutorial-pairs.png", dissimilarities(trial))):
        write_atomic(out / name, as_png(figure), 0o644)
        paths.append(out / name)
    return paths


def dissimilarities(trial: Trial, seed: int = 0) -> Figure:
    """The articles' grid: pairs by chance, the first half of one person, the rest of two, with d above each."""
    random = np.random.default_rng(seed)
    rows = trial.rows()
    distances, same = trial.distances()
    half = GRID_PAIRS // 2
    chosen: npt.NDArray[np.int64] = np.concatenate(
        [random.choice(np.flatnonzero(same), half), random.choice(np.flatnonzero(~same), half)]
    )
    titles = [f"{'same' if same[pair] else 'different'}: {distances[pair]:.2f}" for pair in chosen]
    return figures.pair_grid(
        trial.pictures,
        rows[chosen],
        titles,
        "Dissimilarity of pairs of people held out (AT&T Laboratories Cambridge)",
    )
