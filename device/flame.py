"""A flame chart as one SVG file: time to the right, what runs inside what downwards. No script, no font, no link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from device.stages import Span

WIDTH: Final = 960
MARGIN: Final = 16
BAR: Final = 24
"""Pixels."""

LETTER: Final = 6.6
"""Width of a letter at 11 px, pixels: what fits into a bar is written there, the rest is in the bar's tooltip."""

COLOURS: Final = ("#e4572e", "#f3a712", "#a8c686", "#669bbc", "#8e7dbe", "#d6a2ad", "#c5a880")
NETWORK: Final = "#29335c"
WHOLE: Final = "#c9cbd4"


@dataclass(frozen=True)
class Row:
    """One frame: the whole, its stages, and the networks that ran inside them. Times on one clock, s."""

    whole: Span
    stages: Sequence[Span]
    networks: Sequence[Span]


def chart(title: str, rows: Sequence[Row]) -> str:
    """-> the SVG. Every row is drawn to the scale of the longest."""
    longest = max(1e-6, *(row.whole.end - row.whole.begin for row in rows))
    scale = (WIDTH - 2 * MARGIN) / longest
    names = list(dict.fromkeys(stage.name for row in rows for stage in row.stages))
    colour = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    parts = [_text(MARGIN, 24, title, 15)]
    top = 40
    for row in rows:
        begin = row.whole.begin
        layers = [[(row.whole, WHOLE)], [(s, colour[s.name]) for s in row.stages], [(n, NETWORK) for n in row.networks]]
        for depth, layer in enumerate(layers):
            for span, fill in layer:
                left = MARGIN + (span.begin - begin) * scale
                parts.append(_bar(span, left, top + depth * (BAR + 2), (span.end - span.begin) * scale, fill))
        top += 3 * (BAR + 2) + 6
        parts.append(_ruler(longest * 1000, scale / 1000, top))
        top += 34
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    style = 'font-family="system-ui, sans-serif" font-size="11"'
    return f'{head} {style}><rect width="100%" height="100%" fill="#fff"/>' + "".join(parts) + "</svg>\n"


def _bar(span: Span, left: float, top: float, width: float, fill: str) -> str:
    words = f"{span.name} {(span.end - span.begin) * 1000:.2f} ms"
    if span.name.startswith(("Median", "Frame")):
        words = span.name
    fits = next((text for text in (words, span.name) if len(text) * LETTER < width), "")
    ink = "#fff" if fill == NETWORK else "#1b1b1e"
    label = _text(left + 4, top + 16, fits, 11, ink) if fits else ""
    box = f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(width, 0.5):.1f}" height="{BAR}" rx="2" fill="{fill}"/>'
    return f"<g><title>{escape(words)}</title>{box}{label}</g>"


def _ruler(milliseconds: float, scale: float, top: float) -> str:
    step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 1e9) if milliseconds / step <= 12)
    ticks = [number * step for number in range(int(milliseconds / step) + 1)]
    return "".join(
        f'<path d="M{MARGIN + tick * scale:.1f} {top - 6} v4" stroke="#888"/>'
        + _text(MARGIN + tick * scale - 3, top + 10, f"{tick:g}{' ms' if tick == 0 else ''}", 10, "#555")
        for tick in ticks
    )


def _text(x: float, y: float, words: str, size: int, fill: str = "#1b1b1e") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}">{escape(words)}</text>'
