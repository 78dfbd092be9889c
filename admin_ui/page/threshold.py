"""Tab Threshold: one slider with its evidence, what it would have changed, and word from the door when it runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import gradio as gr

from admin_ui import given
from admin_ui.exhibits import Evidence
from admin_ui.page import markup, markup_threshold
from admin_ui.page.api import account_of, at_desk
from admin_ui.page.arrival import arrival
from admin_ui.page.blocks import QUIET
from admin_ui.page.plot import threshold_plot
from admin_ui.page.theme import html
from admin_ui.roles import AccountRole, seat
from admin_ui.service import Office
from admin_ui.views import Change
from firmware_config.errors import LatchkeyError

NO_DOOR: Final = "There is no door yet, so there is no threshold to set."
STOP_NAMES: Final = ("relaxed", "balanced", "strict")
DRAWN: Final = 4
"""Outputs of a drawing: plot, meaning, numbers, replay."""


class ThresholdWork:
    """What the slider and its buttons do. Outputs in the order each docstring names."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> chooser, buttons, then as show."""
        try:
            _, names, role = at_desk(self._office, request)
        except LatchkeyError as error:
            return gr.skip(), gr.skip(), *[gr.skip()] * (DRAWN + 5), markup.note(str(error), "bad")
        first = names[0] if names else None
        chooser = gr.update(choices=names, value=first, visible=len(names) > 1)
        return chooser, gr.update(visible=role is AccountRole.ADMINISTRATOR), *self.show(first, request)

    def show(self, name: str | None, request: gr.Request) -> tuple[Any, ...]:
        """-> drawing, slider, source, stops, undo, applied tau, status: what runs now."""
        if not name:
            return *[gr.skip()] * (DRAWN + 5), markup.note(NO_DOOR)
        try:
            found = seat(self._office, account_of(request)).evidence(name)
            drawing = self._drawn(found, found.view.tau, request)
        except LatchkeyError as error:
            return *[gr.skip()] * (DRAWN + 5), markup.note(str(error), "bad")
        view = found.view
        moved = gr.update(minimum=view.low, maximum=view.high, step=view.step, value=round(view.tau, 4))
        undo = gr.update(visible=found.undo is not None, value=f"Undo: back to {found.undo or 0:.3f}")
        return *drawing, moved, markup_threshold.source(found), markup_threshold.stops(found), undo, view.tau, ""

    def slide(self, name: str | None, tau: float, request: gr.Request) -> tuple[Any, ...]:
        """-> drawing, status. Touches neither slider nor a status that says something: on a slow line this answer may
        come after the next click."""
        if not name:
            return *[gr.skip()] * DRAWN, markup.note(NO_DOOR)
        try:
            found = seat(self._office, account_of(request)).evidence(name)
            return *self._drawn(found, given.number(tau, "The threshold"), request), gr.skip()
        except LatchkeyError as error:
            return *[gr.skip()] * DRAWN, markup.note(str(error), "bad")

    def stop(self, which: str, name: str | None, request: gr.Request) -> tuple[Any, ...]:
        """-> slider, drawing, status: nothing is applied yet."""
        if not name:
            return gr.skip(), *[gr.skip()] * DRAWN, markup.note(NO_DOOR)
        try:
            found = seat(self._office, account_of(request)).evidence(name)
            tau = next(one.tau for one in found.stops if one.name == which)
            tau = min(max(tau, found.view.low), found.view.high)
            return tau, *self._drawn(found, tau, request), gr.skip()
        except LatchkeyError as error:
            return gr.skip(), *[gr.skip()] * DRAWN, markup.note(str(error), "bad")

    def apply(self, name: str | None, tau: float, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, apply, then as show without its status."""
        account, same = account_of(request), gr.skip()
        if not name:
            yield markup.note(NO_DOOR), *[same] * (DRAWN + 6)
            return
        yield markup.note("Sending.", busy=True), gr.update(interactive=False), *[same] * (DRAWN + 5)
        try:
            change = seat(self._office, account).set_tau(name, given.number(tau, "The threshold"), account)
        except LatchkeyError as error:
            yield markup.note(str(error), "bad"), gr.update(interactive=True), *[same] * (DRAWN + 5)
            return
        runs = seat(self._office, account).threshold(name).tau
        yield from self._told(name, change, f"runs threshold {runs:.3f} now", request)

    def undo(self, name: str | None, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> as apply."""
        account, same = account_of(request), gr.skip()
        try:
            change = seat(self._office, account).undo_tau(name or "", account)
        except LatchkeyError as error:
            yield markup.note(str(error), "bad"), *[same] * (DRAWN + 6)
            return
        yield from self._told(name or "", change, "runs the threshold of before", request)

    def _told(self, name: str, change: Change, deed: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        same = gr.skip()
        yield markup.note(change.sentence, busy=True), same, *self.show(name, request)[:-1]
        for told in arrival(self._office, change, deed):
            yield told, *[same] * (DRAWN + 6)
        yield same, gr.update(interactive=True), *[same] * (DRAWN + 5)

    def _drawn(self, found: Evidence, tau: float, request: gr.Request) -> tuple[str, str, str, str]:
        office, door = seat(self._office, account_of(request)), found.view.door
        words = markup.esc(office.explain_tau(door, tau))
        return (
            threshold_plot(found.view, tau),
            f'<p class="lk-meaning">{words}</p>',
            markup_threshold.numbers(found, office.expected(tau, found.templates, door)),
            markup_threshold.replay(office.replay(door, tau)),
        )


def threshold_tab(office: Office, tab: Any) -> tuple[list[Any], Callable[..., Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = ThresholdWork(office)
    chosen = gr.Dropdown(label="Door", choices=[], visible=False, elem_id="lk-threshold-door")
    running = gr.State(1.0)
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=7, min_width=280, elem_classes="lk-panel"):
            html(
                "<h2>How alike is alike enough?</h2><p class='lk-quiet'>The door takes two faces for the same person "
                "when their distance is at most the threshold. Further right, it refuses members less often and lets "
                "strangers in more often.</p>"
            )
            plot = html(elem_id="lk-plot")
            slider = gr.Slider(
                0.05, 2.0, value=1.0, step=0.005, label="Threshold (distance)", buttons=[], elem_id="lk-tau"
            )
            stops = html(elem_id="lk-stops")
            with gr.Row(elem_classes="lk-inline lk-wrap lk-start lk-stops"):
                named = [
                    gr.Button(name.capitalize(), size="sm", min_width=100, elem_id=f"lk-stop-{name}")
                    for name in STOP_NAMES
                ]
            meaning = html(elem_id="lk-meaning")
            with gr.Row(elem_classes="lk-inline lk-wrap lk-start") as buttons:
                apply = gr.Button("Apply to the door", variant="primary", min_width=170, elem_id="lk-apply")
                undo = gr.Button("Undo", min_width=170, visible=False, elem_id="lk-undo")
            back = gr.Button("Back to the running value", min_width=170, elem_id="lk-back")
            status = html(elem_id="lk-tau-status")
            source = html(elem_id="lk-source")
        with gr.Column(scale=5, min_width=280, elem_classes="lk-stack"):
            with gr.Column(elem_classes="lk-panel"):
                numbers = html(elem_id="lk-numbers")
            with gr.Column(elem_classes="lk-panel"):
                replay = html(elem_id="lk-replay")

    drawing = [plot, meaning, numbers, replay]
    shown = [*drawing, slider, source, stops, undo, running]
    # What is answered in a moment goes past the queue, which would be a second request.
    at_once = {**QUIET, "queue": False}
    gr.on([chosen.change, back.click], work.show, chosen, [*shown, status], **at_once)
    slider.input(work.slide, [chosen, slider], [*drawing, status], trigger_mode="always_last", **at_once)
    # The newest events are drawn when somebody looks; a threshold that was moved and not yet applied stays.
    tab.select(work.slide, [chosen, slider], [*drawing, status], **at_once)
    for name, button in zip(STOP_NAMES, named, strict=True):
        button.click(work.stop, [gr.State(name), chosen], [slider, *drawing, status], **at_once)
    apply.click(work.apply, [chosen, slider], [status, apply, *shown], **QUIET)
    undo.click(work.undo, chosen, [status, apply, *shown], **QUIET)
    return [chosen, buttons, *shown, status], work.fill
