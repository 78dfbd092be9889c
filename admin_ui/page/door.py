"""Tab Door: how the door is, what happens there, and unlocking it from the desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gradio as gr

from admin_ui.page import markup
from admin_ui.page.api import account_of
from admin_ui.page.theme import html
from admin_ui.roles import seat
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

TICK_S: Final = 1.0
"""Seconds between two looks: somebody at the desk who watches somebody at the door should not wait."""
EVENTS_SHOWN: Final = 40


class DoorWork:
    """What the tab shows and does. Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def fill(self, request: gr.Request) -> tuple[Any, str, str]:
        """-> chooser, state, feed."""
        names = [door.name for door in seat(self._office, account_of(request)).doors()]
        first = names[0] if names else None
        return gr.update(choices=names, value=first, visible=len(names) > 1), *self._render(first, request)

    def tick(self, name: str | None, before: tuple[str, str], request: gr.Request) -> tuple[Any, Any, Any]:
        """-> state, feed, seen. What has not changed is not sent again: a page that is being read must not
        flicker or lose a selection."""
        now = self._render(name, request)
        fresh = [new if new != old else gr.skip() for new, old in zip(now, before, strict=True)]
        return fresh[0], fresh[1], now if now != tuple(before) else gr.skip()

    def unlock(self, name: str | None, reason: str, request: gr.Request) -> tuple[str, Any]:
        """-> answer, why."""
        if not name:
            return markup.note("There is no door to unlock yet.", "bad"), gr.skip()
        try:
            said = seat(self._office, account_of(request)).unlock(name, account_of(request), reason.strip())
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), gr.skip()
        return markup.note(said.sentence, "good" if said.ok else "bad"), "" if said.ok else gr.skip()

    def _render(self, name: str | None, request: gr.Request) -> tuple[str, str]:
        if not name:
            return markup.no_door(), ""
        try:
            office = seat(self._office, account_of(request))
            door, link = office.door(name), self._office.link_sentence()
            return markup.door_card(door, link), markup.events(office.events(name, EVENTS_SHOWN))
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), ""


def door_tab(office: Office) -> tuple[list[Any], Callable[..., Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = DoorWork(office)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    chosen = gr.Dropdown(label="Door", choices=[], visible=False, elem_id="lk-door-choice")
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=6, min_width=280, elem_classes="lk-stack"):
            with gr.Column(elem_classes="lk-panel"):
                state = html(elem_id="lk-door-state")
            with gr.Column(elem_classes="lk-panel"):
                html(
                    "<h2>Unlock from here</h2><p class='lk-quiet'>The door opens once, for its usual time. Your name "
                    "and the reason are recorded.</p>"
                )
                with gr.Row(elem_classes="lk-inline"):
                    why = gr.Textbox(
                        show_label=False,
                        placeholder="Reason: a courier, a forgotten badge",
                        max_lines=1,
                        max_length=200,
                        container=False,
                        scale=4,
                        elem_id="lk-why",
                    )
                    unlock = gr.Button("Unlock", variant="primary", scale=1, min_width=120, elem_id="lk-unlock")
                answer = html(elem_id="lk-unlock-status")
        with gr.Column(scale=5, min_width=280, elem_classes="lk-panel"):
            html("<h2>What happens at the door</h2>")
            feed = html(elem_id="lk-events")
    seen = gr.State(("", ""))
    timer = gr.Timer(TICK_S)

    timer.tick(work.tick, [chosen, seen], [state, feed, seen], queue=False, **private)
    chosen.change(work.tick, [chosen, seen], [state, feed, seen], queue=False, **private)
    gr.on([unlock.click, why.submit], work.unlock, [chosen, why], [answer, why], **private)
    return [chosen, state, feed], work.fill
