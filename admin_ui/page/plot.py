"""The threshold's evidence as an inline SVG: nothing to load, readable in light and dark, at any width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from admin_ui.exhibits import BIN
from admin_ui.page.markup import esc
from admin_ui.views import ThresholdView

LOWEST_RATE: Final = 1e-7
"""Share at the bottom of the logarithmic axis: below the lowest rate that a bundle lists (1e-6)."""
WIDE: Final = (760, 330)
NARROW: Final = (340, 300)
"""Width and height in CSS pixels for a desk and for a phone; the style sheet shows one of the two."""


@dataclass(frozen=True)
class Frame:
    """Distance and share -> pixels."""

    width: int
    height: int
    low: float
    high: float
    left: int = 58
    right: int = 14
    top: int = 14
    bottom: int = 62

    def x(self, distance: float) -> float:
        share = (min(max(distance, self.low), self.high) - self.low) / max(self.high - self.low, 1e-9)
        return self.left + share * (self.width - self.left - self.right)

    def y(self, rate: float) -> float:
        decades = math.log10(max(rate, LOWEST_RATE)) / math.log10(LOWEST_RATE)
        return self.top + decades * (self.height - self.top - self.bottom)


def share_words(rate: float) -> str:
    """0.0001 -> "1 in 10,000"; above one in twenty, per cent."""
    if rate <= 0:
        return "fewer than counted"
    if rate >= 0.05:
        return f"{rate * 100:.0f} %"
    return f"1 in {1 / rate:,.0f}"


def threshold_plot(view: ThresholdView, tau: float, span: str = "") -> str:
    """Both curves, the running threshold, the chosen one, and the door's recent decisions along the axis. span: of what
    time these are, for the legend; "": of the last 30 days, or the newest."""
    drawings = "".join(
        f'<div class="lk-plot-{name}">{_drawing(view, tau, size)}</div>'
        for name, size in (("wide", WIDE), ("narrow", NARROW))
    )
    span = span or (", last 30 days" if view.visits else ", recently")
    legend = (
        '<ul class="lk-legend"><li class="lk-fmr">strangers let in (FMR)</li>'
        '<li class="lk-fnmr">the right person refused (FNMR), each with its 95 % interval</li>'
        f'<li class="lk-rug-granted">let in here{span}</li><li class="lk-rug-denied">refused here{span}</li></ul>'
    )
    return f'<figure class="lk-plot">{drawings}<figcaption>{legend}</figcaption></figure>'


def _drawing(view: ThresholdView, tau: float, size: tuple[int, int]) -> str:
    frame = Frame(size[0], size[1], view.low, view.high)
    ground = frame.height - frame.bottom
    title = (
        f"At distance {tau:.3f}: false matches {share_words(_at(view.taus, view.fmr, tau))}, "
        f"false rejections {share_words(_at(view.taus, view.fnmr, tau))}, for one comparison."
    )
    parts = [
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{esc(title)}">',
        *_axes(frame, ground),
        *_bars(frame, ground, view.visits),
        *(() if view.visits else (_tick(frame, ground, distance, outcome) for distance, outcome in view.recent)),
        _band(frame, view.taus, view.fnmr_band, "lk-fnmr"),
        _band(frame, view.taus, view.fmr_band, "lk-fmr"),
        _curve(frame, view.taus, view.fnmr, "lk-fnmr"),
        _curve(frame, view.taus, view.fmr, "lk-fmr"),
        _marker(frame, ground, view.tau, "lk-running"),
        _marker(frame, ground, tau, "lk-chosen"),
        _dot(frame, tau, _at(view.taus, view.fmr, tau), "lk-fmr"),
        _dot(frame, tau, _at(view.taus, view.fnmr, tau), "lk-fnmr"),
        "</svg>",
    ]
    return "".join(parts)


def _axes(frame: Frame, ground: int) -> list[str]:
    lines = []
    for decade in range(0, -8, -1):
        y = frame.y(10.0**decade)
        label = (
            "100 %" if decade == 0 else "1 %" if decade == -2 else "10 %" if decade == -1 else f"10{_raised(decade)}"
        )
        lines.append(
            f'<line class="lk-grid" x1="{frame.left}" x2="{frame.width - frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        lines.append(f'<text x="{frame.left - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for distance in _round_steps(frame.low, frame.high, 4 if frame.width < 500 else 8):
        x = frame.x(distance)
        lines.append(f'<line class="lk-grid" x1="{x:.1f}" x2="{x:.1f}" y1="{ground}" y2="{ground + 5}"/>')
        lines.append(f'<text x="{x:.1f}" y="{ground + 36}" text-anchor="middle">{distance:g}</text>')
    middle = (frame.left + frame.width - frame.right) / 2
    lines.append(
        f'<text x="{middle:.0f}" y="{frame.height - 6}" text-anchor="middle">distance between two faces</text>'
    )
    return lines


def _round_steps(low: float, high: float, wanted: int) -> list[float]:
    rough = max(high - low, 1e-6) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 6) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _raised(exponent: int) -> str:
    return f'<tspan dy="-5" font-size="10">{"&#8722;" if exponent < 0 else ""}{abs(exponent)}</tspan>'


def _curve(frame: Frame, taus: Sequence[float], rates: Sequence[float], name: str) -> str:
    """Only where something was counted: a rate of nought has no place on a logarithmic axis."""
    points = [f"{frame.x(tau):.1f},{frame.y(rate):.1f}" for tau, rate in zip(taus, rates, strict=True) if rate > 0]
    return f'<polyline class="lk-curve {name}" points="{" ".join(points)}"/>'


def _band(frame: Frame, taus: Sequence[float], ends: Sequence[tuple[float, float]], name: str) -> str:
    """Between both ends of each interval."""
    if not ends:
        return ""
    low = [f"{frame.x(tau):.1f},{frame.y(end[0]):.1f}" for tau, end in zip(taus, ends, strict=True)]
    high = [f"{frame.x(tau):.1f},{frame.y(end[1]):.1f}" for tau, end in zip(taus, ends, strict=True)]
    return f'<polygon class="lk-band {name}" points="{" ".join([*high, *reversed(low)])}"/>'


def _bars(frame: Frame, ground: int, visits: Sequence[tuple[float, int, int]]) -> list[str]:
    """Let in above refused, the fullest bin a third of the height: how many, not how rare, so on a scale of its own."""
    shown = [one for one in visits if frame.low <= one[0] <= frame.high]
    most = max((granted + denied for _, granted, denied in shown), default=0)
    if not most:
        return []
    unit = (ground - frame.top) / 3 / most
    width = max(frame.x(frame.low + BIN) - frame.x(frame.low) - 1, 1.0)
    bars = []
    for left, granted, denied in shown:
        x, high, low = frame.x(left), granted * unit, denied * unit
        wide = min(width, frame.width - frame.right - x)
        for name, y, height in (("granted", ground - low - high, high), ("denied", ground - low, low)):
            if height:
                bars.append(
                    f'<rect class="lk-bar-{name}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{height:.1f}"/>'
                )
    return bars


def _marker(frame: Frame, ground: int, tau: float, name: str) -> str:
    x = frame.x(tau)
    return f'<line class="{name}" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{ground}"/>'


def _dot(frame: Frame, tau: float, rate: float, name: str) -> str:
    if rate <= 0:
        return ""
    return f'<circle class="lk-dot {name}" cx="{frame.x(tau):.1f}" cy="{frame.y(rate):.1f}" r="5"/>'


def _tick(frame: Frame, ground: int, distance: float, outcome: str) -> str:
    if not frame.low <= distance <= frame.high:
        return ""
    name = "lk-rug-granted" if outcome == "granted" else "lk-rug-denied"
    x = frame.x(distance)
    return f'<line class="{name}" x1="{x:.1f}" x2="{x:.1f}" y1="{ground + 7}" y2="{ground + 19}"/>'


def _at(taus: Sequence[float], rates: Sequence[float], tau: float) -> float:
    """The rate at the nearest drawn distance."""
    if not taus:
        return 0.0
    nearest = min(range(len(taus)), key=lambda index: abs(taus[index] - tau))
    return rates[nearest]
