"""The articles' pictures: how the loss fell, and pairs of people held out with their dissimilarity."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from firmware_config.errors import BadInput
from firmware_config.face import FloatArray
from firmware_config.files import write_atomic
from trainer import data
from trainer.bundling import load_trained
from trainer.metrics import equal_error_rate, pair_table
from trainer.train import LOG, embed, load_faces

GRID_PAIRS: Final = 8
"""Pairs in the picture: two rows of four."""

STEPS_EACH_POINT: Final = 10
"""The articles plot the loss of every tenth batch."""


def tutorial_report(run: Path, out: Path, cache_dir: Path | None = None) -> list[Path]:
    """Writes tutorial-loss.png and tutorial-pairs.png of a run of the tutorial's network into `out`.

    Raises BadInput when the run is not the tutorial's, LostLink when AT&T cannot be fetched. The pictures show
    AT&T faces, which that set's terms allow with thanks to AT&T Laboratories Cambridge.
    """
    trained = load_trained(run)
    if trained.config.network.kind != "tutorial" or trained.config.data.source != "att":
        raise BadInput(f"{run} is not a run of the tutorial's network on AT&T faces.")
    faces, split = load_faces(trained.config, Path(), cache_dir)
    strangers = faces.take(split.validation)
    embeddings = embed(trained.config, trained.network, strangers.pixels)
    table = pair_table(embeddings, strangers.identities)
    history = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    pictures = {
        "tutorial-loss.png": loss_curve([entry["loss"] for entry in history]),
        "tutorial-pairs.png": pair_grid(strangers, embeddings, trained.config.seed),
    }
    eer = equal_error_rate(table.genuine, table.impostor)
    pictures["tutorial-loss.png"].axes[0].set_title(
        f"Tutorial network, AT&T: EER {eer:.3f} on {strangers.people} people it never saw"
    )
    paths = []
    for name, figure in pictures.items():
        stream = io.BytesIO()
        figure.savefig(stream, dpi=110, bbox_inches="tight", metadata={"Software": None})
        write_atomic(out / name, stream.getvalue(), 0o644)
        paths.append(out / name)
    return paths


def loss_curve(losses: list[float]) -> Figure:
    """Contrastive loss over training steps, every tenth batch, as a line."""
    figure = Figure(figsize=(7, 4))  # not through pyplot: no screen is asked for, nothing is left open
    axis = figure.subplots()
    steps = np.arange(0, len(losses), STEPS_EACH_POINT)
    axis.plot(steps, [losses[step] for step in steps], linewidth=1.2)
    axis.set_xlabel("step")
    axis.set_ylabel("contrastive loss")
    axis.set_ylim(bottom=0.0)
    axis.grid(alpha=0.3)
    return figure


def pair_grid(faces: data.Faces, embeddings: FloatArray, seed: int) -> Figure:
    """A picture grid: one photo against eight others, half of them of the same person, with d above each.

    faces: grey, uint8[N, S, S, 1]; embeddings: float32[N, D].
    """
    random = np.random.default_rng(seed)
    figure = Figure(figsize=(12, 4.2))
    axes = figure.subplots(2, GRID_PAIRS // 2)
    for i, axis in enumerate(axes.flat):
        probe = int(random.integers(len(faces)))
        same = faces.identities == faces.identities[probe]
        if i < GRID_PAIRS // 2:
            same[probe] = False
            other = int(random.choice(np.flatnonzero(same)))
        else:
            other = int(random.choice(np.flatnonzero(~same)))
        dissimilarity = float(np.linalg.norm(embeddings[probe] - embeddings[other]))
        axis.imshow(np.hstack([faces.pixels[probe, ..., 0], faces.pixels[other, ..., 0]]), cmap="gray")
        kind = "same" if i < GRID_PAIRS // 2 else "different"
        axis.set_title(f"{kind}: {dissimilarity:.2f}")
        axis.axis("off")
    figure.suptitle("Dissimilarity of pairs of people held out (AT&T Laboratories Cambridge)")
    return figure
