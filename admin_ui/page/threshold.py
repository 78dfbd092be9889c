"""Tab Threshold: one slider with its evidence, and word from the door when it runs the new value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import gradio as gr

from admin_ui.page import markup
from admin_ui.page.api import account_of
from admin_ui.page.arrival import arrival
from admin_ui.page.plot import threshold_plot
from admin_ui.page.theme import html
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

NO_DOOR: Final = "There is no door yet, so there is no threshold to set."


class ThresholdWork:
    """What the slider and its buttons do. Outputs in the order each docstring names."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def fill(self) -> tuple[Any, ...]:
        """-> chooser, plot, meaning, slider, source, status."""
        names = [door.name for door in self._office.doors()]
        first = names[0] if names else None
        return gr.update(choices=names, value=first, visible=len(names) > 1), *self.show(first)

    def show(self, name: str | None) -> tuple[Any, ...]:
        """-> plot, meaning, slider, source, status: what runs now."""
        if not name:
            return *[gr.skip()] * 4, markup.note(NO_DOOR)
        try:
            view = self._office.threshold(name)
            graph, words = self._drawn(name, view.tau)
        except LatchkeyError as error:
            return *[gr.skip()] * 4, markup.note(str(error), "bad")
        measured = (
            '<p class="lk-quiet">The dashed line is what runs now.</p>'
            f'<p class="lk-quiet">Measured on: {markup.esc(view.source)}</p>'
        )
        moved = gr.update(minimum=view.low, maximum=view.high, step=view.step, value=round(view.tau, 4))
        return graph, words, moved, measured, ""

    def slide(self, name: str | None, tau: float) -> tuple[Any, Any, Any]:
        """-> plot, meaning, status. Touches neither slider nor a status that says something: on a slow line this
        answer may come after the next click."""
        if not name:
            return gr.skip(), gr.skip(), markup.note(NO_DOOR)
        try:
            return *self._drawn(name, tau), gr.skip()
        except LatchkeyError as error:
            return gr.skip(), gr.skip(), markup.note(str(error), "bad")

    def apply(self, name: str | None, tau: float, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> plot, meaning, status, apply."""
        same = gr.skip()
        if not name:
            yield same, same, markup.note(NO_DOOR), same
            return
        yield same, same, markup.note("Sending.", busy=True), gr.update(interactive=False)
        try:
            change = self._office.set_tau(name, tau, account_of(request))
            graph, words = self._drawn(name, tau)
        except LatchkeyError as error:
            yield same, same, markup.note(str(error), "bad"), gr.update(interactive=True)
            return
        yield graph, words, markup.note(change.sentence, busy=True), same
        for told in arrival(self._office, change, f"runs threshold {tau:.3f} now"):
            yield same, same, told, same
        yield same, same, same, gr.update(interactive=True)

    def _drawn(self, name: str, tau: float) -> tuple[str, str]:
        words = markup.esc(self._office.explain_tau(name, tau))
        return threshold_plot(self._office.threshold(name), tau), f'<p class="lk-meaning">{words}</p>'


def threshold_tab(office: Office, tab: Any) -> tuple[list[Any], Callable[[], Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = ThresholdWork(office)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    chosen = gr.Dropdown(label="Door", choices=[], visible=False, elem_id="lk-threshold-door")
    with gr.Column(elem_classes="lk-panel"):
        html(
            "<h2>How alike is alike enough?</h2><p class='lk-quiet'>The door takes two faces for the same person when "
            "their distance is at most the threshold. Further right, it refuses members less often and lets "
            "strangers in more often.</p>"
        )
        plot = html(elem_id="lk-plot")
        slider = gr.Slider(0.05, 2.0, value=1.0, step=0.005, label="Threshold (distance)", buttons=[], elem_id="lk-tau")
        meaning = html(elem_id="lk-meaning")
        with gr.Row(elem_classes="lk-inline lk-start"):
            apply = gr.Button("Apply to the door", variant="primary", min_width=170, elem_id="lk-apply")
            back = gr.Button("Back to the running value", min_width=170, elem_id="lk-back")
        status = html(elem_id="lk-tau-status")
        source = html(elem_id="lk-source")

    outputs = [plot, meaning, slider, source, status]
    gr.on([chosen.change, back.click], work.show, chosen, outputs, **private)
    drawing = [plot, meaning, status]
    slider.input(work.slide, [chosen, slider], drawing, trigger_mode="always_last", **private)
    # The newest events are drawn when somebody looks; a threshold that was moved and not yet applied stays.
    tab.select(work.slide, [chosen, slider], drawing, **private)
    apply.click(work.apply, [chosen, slider], [plot, meaning, status, apply], **private)
    return [chosen, *outputs], work.fill
