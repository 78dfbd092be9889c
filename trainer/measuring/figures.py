"""The pictures of a report, as matplotlib figures: rates against thresholds, distances, pairs, and where people lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import norm

from device.occlusion import occlusion_map
from firmware_config.face import FloatArray, ImageArray
from trainer.measuring.intervals import Interval
from trainer.measuring.metrics import PairTable
from trainer.measuring.trial import Embed

POINTS: Final = 400
"""Of a curve: more than a screen shows."""

GENUINE, IMPOSTOR = "#1b7f5c", "#b3432b"

DET_TICKS: Final = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8)

MOST_MAPPED: Final = 600
"""Pictures in the embedding map; t-SNE takes seconds for so many."""

PEOPLE_COLOURED: Final = 20


def _axis(width: float = 6.0, height: float = 4.0) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))  # not through pyplot: no screen is asked for, nothing is left open
    axis = figure.subplots()
    axis.grid(alpha=0.3)
    return figure, axis


def _rates(table: PairTable) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """FMR and TAR at thresholds that are spread evenly over the logarithm of FMR."""
    impostor, genuine = np.sort(table.impostor), np.sort(table.genuine)
    ranks = np.unique(np.geomspace(1, len(impostor), POINTS).astype(int))
    taus = impostor[ranks - 1]
    return ranks / len(impostor), np.searchsorted(genuine, taus, side="right") / len(genuine)


def roc(table: PairTable) -> Figure:
    """TAR against FMR, the latter in decades: a door lives at the left end."""
    figure, axis = _axis()
    fmr, tar = _rates(table)
    axis.semilogx(fmr, tar, color=GENUINE)
    axis.set(xlabel="FMR", ylabel="TAR", ylim=(0.0, 1.02), title="ROC")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def det(table: PairTable) -> Figure:
    """FNMR against FMR on normal deviates, where two bell curves give a straight line. Martin et al. 1997."""
    figure, axis = _axis()
    fmr, tar = _rates(table)
    inside = (fmr > 1e-6) & (fmr < 1 - 1e-6) & (tar > 1e-6) & (tar < 1 - 1e-6)
    axis.plot(norm.ppf(fmr[inside]), norm.ppf(1.0 - tar[inside]), color=GENUINE)
    ticks = norm.ppf(DET_TICKS)
    axis.set_xticks(ticks, [f"{tick:g}" for tick in DET_TICKS])
    axis.set_yticks(ticks, [f"{tick:g}" for tick in DET_TICKS])
    axis.plot(ticks, ticks, color="grey", linewidth=0.6, linestyle="--")
    axis.set(xlabel="FMR", ylabel="FNMR", title="DET; EER where it meets the dashes")
    return figure


def histograms(table: PairTable, tau: float | None = None) -> Figure:
    """Distances of genuine and impostor pairs, each to its own height; tau as a line."""
    figure, axis = _axis()
    top = float(max(table.genuine.max(), table.impostor.max()))
    bins = np.linspace(0.0, top, 81)
    for distances, colour, name in ((table.genuine, GENUINE, "genuine"), (table.impostor, IMPOSTOR, "impostor")):
        axis.hist(distances, bins=bins, density=True, alpha=0.6, color=colour, label=f"{name}, {len(distances)}")
    if tau is not None:
        axis.axvline(tau, color="black", linewidth=1.0, label=f"tau {tau:.3f}, FMR 1e-3 by the bundle")
    axis.set(xlabel="distance", ylabel="density", title="Distances")
    axis.legend()
    return figure


def loss_curve(losses: Sequence[float], every: int = 10) -> Figure:
    """Training loss of every tenth step, as the articles plot it."""
    figure, axis = _axis(7.0)
    steps = np.arange(0, len(losses), every)
    axis.plot(steps, [losses[int(step)] for step in steps], linewidth=1.2)
    axis.set(xlabel="step", ylabel="loss")
    axis.set_ylim(bottom=0.0)
    return figure


def bars(values: Sequence[float], what: str, title: str) -> Figure:
    """Shares, 0 to 1, a bar each, with their mean as a line."""
    figure, axis = _axis(7.0, 3.5)
    axis.bar(range(len(values)), values, color=GENUINE)
    axis.axhline(float(np.mean(values)), color="black", linewidth=1.0, linestyle="--")
    axis.set(ylabel=what, ylim=(0.0, max(1.0 if max(values) > 0.5 else 0.0, 1.15 * max(values))))
    axis.set_title(f"{title}: mean {np.mean(values):.1%}")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def curves(named: Mapping[str, Sequence[float]], x: str, y: str, title: str, wanted: float | None = None) -> Figure:
    """A line for each name against 1, 2, 3, ...; wanted: a level to compare with, dashed."""
    figure, axis = _axis(7.0)
    for name, values in named.items():
        axis.plot(range(1, len(values) + 1), values, label=name, linewidth=1.4)
    if wanted is not None:
        axis.axhline(wanted, color="black", linewidth=1.0, linestyle="--")
    axis.set(xlabel=x, ylabel=y, title=title)
    axis.set_ylim(bottom=0.0)
    axis.legend()
    return figure


def amounts(named: Mapping[str, float], x: str, title: str) -> Figure:
    """A lying bar for each name, with its number."""
    figure, axis = _axis(7.0, 0.6 + 0.5 * len(named))
    bars = axis.barh(list(named), list(named.values()), color=GENUINE)
    axis.bar_label(bars, fmt="{:,.0f}", padding=3)
    axis.invert_yaxis()
    axis.set(xlabel=x, title=title)
    axis.margins(x=0.15)
    return figure


def rates(named: Mapping[str, tuple[float, Interval]], x: str, title: str, at_large: float) -> Figure:
    """Each name's rate with its interval, on a logarithmic axis; at_large: the rate of everybody, dashed."""
    figure, axis = _axis(7.0, 0.8 + 0.3 * len(named))
    middle = np.array([rate for rate, _ in named.values()])
    ends = np.array([interval for _, interval in named.values()])
    axis.errorbar(middle, list(named), xerr=np.abs(ends.T - middle), fmt="o", color=IMPOSTOR, capsize=3)
    axis.axvline(at_large, color="black", linewidth=1.0, linestyle="--")
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set(xlabel=x, title=title)
    return figure


def pair_grid(pictures: ImageArray, pairs: npt.NDArray[np.int64], titles: Sequence[str], title: str = "") -> Figure:
    """Pairs side by side with a line above each, four in a row. pictures: uint8[N, H, W, C];
    pairs: int64[P, 2]."""
    rows = -(-len(pairs) // 4)
    figure = Figure(figsize=(12, 2.1 * rows))
    for axis in (axes := figure.subplots(rows, 4, squeeze=False)).flat:
        axis.axis("off")
    for axis, (first, second), text in zip(axes.flat, pairs, titles, strict=False):
        both = np.hstack([pictures[first], pictures[second]])
        axis.imshow(both[..., 0] if both.shape[2] == 1 else both, cmap="gray")
        axis.set_title(text, fontsize=10)
    if title:
        figure.suptitle(title)
    figure.tight_layout()
    return figure


def embedding_map(embeddings: FloatArray, identities: npt.NDArray[np.int64], seed: int = 0) -> Figure:
    """Where people lie, 128 dimensions laid flat by t-SNE: near stays near, far means little. Maaten, Hinton 2008.

    The people with most pictures have a colour each, up to twenty; the rest are grey.
    """
    from sklearn.manifold import TSNE  # noqa: PLC0415  # a second to load, for this picture only

    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(embeddings))[:MOST_MAPPED])
    places = TSNE(perplexity=min(15, len(rows) - 1), random_state=seed, init="pca").fit_transform(embeddings[rows])
    whose = identities[rows]
    coloured = np.argsort(-np.bincount(whose), kind="stable")[:PEOPLE_COLOURED]
    figure, axis = _axis(6.0, 6.0)
    rest = ~np.isin(whose, coloured)
    axis.scatter(*places[rest].T, s=8, color="lightgrey")
    for number, person in enumerate(coloured):
        own = places[whose == person]
        axis.scatter(*own.T, s=14, color=f"C{number % 10}", marker="o" if number < 10 else "^")
    axis.set(xticks=[], yticks=[], title=f"{len(rows)} pictures, {len(coloured)} people in colour (t-SNE)")
    return figure


def looked_at(embed: Embed, pictures: ImageArray, pairs: npt.NDArray[np.int64], titles: Sequence[str]) -> Figure:
    """Each pair's two pictures, and over each what speaks for one person (green) or against (red)."""
    figure = Figure(figsize=(10, 2.6 * len(pairs)))
    axes = figure.subplots(len(pairs), 4, squeeze=False)
    for row, (first, second), text in zip(axes, pairs, titles, strict=True):
        for k, (mine, other) in enumerate(((first, second), (second, first))):
            change = occlusion_map(embed, pictures[mine], pictures[other])
            grey = pictures[mine].mean(axis=2)
            most = max(float(np.abs(change).max()), 1e-6)
            row[2 * k].imshow(pictures[mine][..., 0] if pictures.shape[3] == 1 else pictures[mine], cmap="gray")
            row[2 * k + 1].imshow(grey, cmap="gray")
            row[2 * k + 1].imshow(change, cmap="RdYlGn", vmin=-most, vmax=most, alpha=0.55)
            row[2 * k + 1].set_title(f"up to {change.max():+.3f}", fontsize=9)
        row[0].set_title(text, fontsize=10)
        for axis in row:
            axis.axis("off")
    figure.tight_layout()
    return figure
