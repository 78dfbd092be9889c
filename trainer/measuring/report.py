"""One self-contained HTML page of a measurement: numbers, curves and, where the set's terms allow it, faces."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from trainer.measuring import figures
from trainer.measuring.evaluate import sentence
from trainer.measuring.trial import Embed, Trial

WORST: Final = 12
"""Pairs of each kind in the grids."""

OCCLUDED: Final = 4

Log = list[dict[str, Any]]
"""A run's steps, as its log.jsonl has them."""

STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1c2321;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;
border-bottom:1px solid #ddd}td{font-variant-numeric:tabular-nums}.plots{display:grid;gap:1rem;
grid-template-columns:repeat(auto-fit,minmax(22rem,1fr))}svg,img{width:100%;height:auto}pre{white-space:pre-wrap}
"""


def html_report(result: dict[str, Any], trial: Trial, embed: Embed | None = None, faces: bool = False) -> str:
    """result: what `evaluate` found in `trial`; embed: the network, for occlusion maps; faces: show them.

    Faces are shown where the set's terms allow it (`may_show`) or `faces` says that these are the reader's own. The
    page asks nothing of any host: curves are inline SVG, pictures inline PNG.
    """
    parts = [f"<p>{html.escape(line)}</p>" for line in sentence(result).splitlines()]
    parts.append(_numbers(result))
    tau = result.get("at_bundle_tau_1e-3", {}).get("tau")
    table = trial.table()
    plots = [figures.roc(table), figures.det(table), figures.histograms(table, tau)]
    if trial.log:
        plots.append(figures.loss_curve([entry["loss"] for entry in trial.log]))
    plots.append(figures.embedding_map(trial.embeddings, trial.identities))
    parts.append('<h2>Curves</h2><div class="plots">' + "".join(map(_svg, plots)) + "</div>")
    if faces or trial.may_show:
        parts.extend(_faces(trial, embed))
    else:
        parts.append("<p>The terms of this set keep its faces out of reports; --faces shows them in your own copy.</p>")
    parts.append(f"<h2>For machines</h2><pre>{html.escape(json.dumps(result, indent=1))}</pre>")
    return _page(f"{trial.protocol}: {trial.subject[:24]}", parts)


def one_shot_report(results: Sequence[dict[str, Any]], lines: Sequence[str], logs: Sequence[Log]) -> str:
    """results: of `one_shot.judge_run`, a run each; lines: the same in words; logs: each run's steps. No pictures of
    anybody: how often each of Lake's runs, or each split of people, was right, and how the loss fell."""
    lake = [result["lake_runs"]["each"] for result in results if "lake_runs" in result]
    if lake:
        plots = [figures.bars(each, "right", f"Lake's runs, {len(each)}, 20-way one-shot") for each in lake]
    else:
        shots = [result["one_shot"]["accuracy"] for result in results]
        ways = results[0]["one_shot"]["ways"]
        plots = [
            figures.bars(shots, "right", f"{ways}-way one-shot, by split"),
            figures.bars([result["eer"] for result in results], "EER", "EER, by split"),
        ]
    plots += [figures.loss_curve([entry["loss"] for entry in log]) for log in logs if log]
    names = ", ".join(dict.fromkeys(str(result["run"]) for result in results))
    return plots_report(f"one-shot: {names}", lines, plots, list(results))


def plots_report(title: str, lines: Sequence[str], plots: Sequence[Figure], result: object) -> str:
    """A measurement that has its own figures: what was found in words, the figures, and the numbers for machines."""
    parts = [f"<p>{html.escape(line)}</p>" for line in lines]
    parts.append('<div class="plots">' + "".join(map(_svg, plots)) + "</div>")
    parts.append(f"<h2>For machines</h2><pre>{html.escape(json.dumps(result, indent=1))}</pre>")
    return _page(title, parts)


def worst_pairs(trial: Trial, genuine: bool, count: int = WORST) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The genuine pairs farthest apart, or the impostor pairs nearest: int64[<= count, 2] rows, and a title each.

    One pair of each person, or of each two: the same two faces twelve times would show less.
    """
    rows = trial.rows()
    distances, same = trial.distances()
    of_kind = np.flatnonzero(same if genuine else ~same)
    order = of_kind[np.argsort(-distances[of_kind] if genuine else distances[of_kind], kind="stable")]
    people = np.sort(trial.identities[rows[order]], axis=1)
    _, first = np.unique(people, axis=0, return_index=True)
    chosen = order[np.sort(first)[:count]]
    return rows[chosen], [f"{'same' if genuine else 'different'}: {distances[pair]:.2f}" for pair in chosen]


def as_png(figure: Figure, dpi: int = 110) -> bytes:
    """The same bytes for the same figure: nothing of when and where it was drawn."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    return stream.getvalue()


def _page(title: str, parts: Sequence[str]) -> str:
    head = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{head}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{head}</h1>{''.join(parts)}</body></html>\n"
    )


def _faces(trial: Trial, embed: Embed | None) -> Iterator[str]:
    for genuine, title in ((True, "One person, farthest apart"), (False, "Two people, nearest")):
        pairs, titles = worst_pairs(trial, genuine)
        yield f"<h2>{title}</h2>" + _png(figures.pair_grid(trial.pictures, pairs, titles))
    if embed is None:
        return
    kinds = [worst_pairs(trial, genuine, OCCLUDED // 2) for genuine in (True, False)]
    pairs = np.concatenate([pair for pair, _ in kinds])
    titles = [title for _, both in kinds for title in both]
    yield (
        "<h2>What the encoder looked at</h2><p>A patch is hidden at each place in turn. Green: what is seen there "
        "brings the two together; red: it keeps them apart.</p>"
    ) + _png(figures.looked_at(embed, trial.pictures, pairs, titles))


def _numbers(result: dict[str, Any]) -> str:
    ends = result.get("intervals", {})
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{_number(value)}</td>"
        f"<td>{f'{ends[name][0]:.4f} to {ends[name][1]:.4f}' if name in ends else ''}</td></tr>"
        for name, value in result.items()
        if isinstance(value, (int, float, str)) or value is None
    )
    return f"<h2>Numbers</h2><table><tr><th></th><th></th><th>95 %, by identity</th></tr>{rows}</table>"


def _number(value: float | str | None) -> str:
    if value is None:
        return "too few pairs"
    return f"{value:.4f}" if isinstance(value, float) else html.escape(str(value))


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "latchkey", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    # Without the XML header, its document type, and a description whose names look like addresses.
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def _png(figure: Figure) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(as_png(figure, dpi=64)).decode()}">'
