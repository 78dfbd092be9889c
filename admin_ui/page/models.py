"""Tab Models: the encoder in force, another one read and compared before it is shipped, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from admin_ui.page import markup, markup_models
from admin_ui.page.api import account_of
from admin_ui.page.arrival import arrival
from admin_ui.page.photo import File, forget_photo, photo_path
from admin_ui.page.theme import html
from admin_ui.roles import AccountRole, seat
from admin_ui.service import Office
from admin_ui.views import Change, ComesAgain
from firmware_config.errors import LatchkeyError


class ModelsWork:
    """Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office, uploads: Any) -> None:
        self._office = office
        self._uploads = uploads

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> running, back, administration."""
        account = account_of(request)
        try:
            office = seat(self._office, account)
            running, past = office.model_in_force(), office.models()
            administers = office.own_account(account).role is AccountRole.ADMINISTRATOR
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), gr.skip(), gr.skip()
        choices = [(f"{one.name} {one.version} (since {one.since:%Y-%m-%d})", one.encoder_id) for one in past[1:]]
        back = gr.update(choices=choices, value=choices[0][1] if choices else None)
        return markup_models.running(running), back, gr.update(visible=administers)

    def read(self, file: File, request: gr.Request) -> tuple[Any, ...]:
        """-> compared, ship, leave out, status."""
        hidden = gr.update(visible=False)
        if file is None:
            return "", hidden, gr.update(visible=False, value=False), ""
        office = seat(self._office, account_of(request))
        try:
            found = office.read_model(photo_path(file, self._uploads))
            compared = markup_models.compared(office.model_in_force(), found)
        except LatchkeyError as error:
            return "", hidden, hidden, markup.note(str(error), "bad")
        words = "Ship the older version to all doors" if found.older else "Ship it to all doors"
        ship = gr.update(visible=not found.refused or found.older, value=words)
        leave = gr.update(
            visible=bool(found.again), value=False, label=f"Yes, {len(found.again)} people are enrolled again by me"
        )
        return compared, ship, leave, ""

    def ship(self, file: File, leave_out: bool, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, file, then as fill."""
        account = account_of(request)

        def work() -> Change:
            path = photo_path(file, self._uploads)
            return seat(self._office, account).ship_file(path, account, leave_out=leave_out is True)

        for told in self._told(work, request):
            yield told[0], gr.skip(), *told[1:]
        forget_photo(file, self._uploads)

    def back(self, encoder_id: str | None, leave_out: bool, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, then as fill."""
        account = account_of(request)

        def work() -> Change:
            return seat(self._office, account).ship_again(encoder_id or "", account, leave_out=leave_out is True)

        yield from self._told(work, request)

    def _told(self, work: Callable[[], Change], request: gr.Request) -> Iterator[tuple[Any, ...]]:
        same = [gr.skip()] * 3
        yield markup.note("Making templates and sending.", busy=True), *same
        try:
            change = work()
        except LatchkeyError as error:
            yield markup.note(str(error), "warn" if isinstance(error, ComesAgain) else "bad"), *same
            return
        yield markup.note(change.sentence, busy=bool(change.news)), *self.fill(request)
        for told in arrival(self._office, change, "runs it now"):
            yield markup.note(change.sentence, "good") + told, *same


def models_tab(office: Office, uploads: Any) -> tuple[list[Any], Callable[..., Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = ModelsWork(office, uploads)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=6, min_width=280, elem_classes="lk-panel"):
            running = html(elem_id="lk-model")
        with gr.Column(scale=5, min_width=280, elem_classes="lk-stack", visible=False) as administration:
            with gr.Column(elem_classes="lk-panel"):
                html(
                    "<h2>Another encoder</h2><p class='lk-quiet'>A bundle (.latchkey) is checked, tested and compared "
                    "here before any door hears of it.</p>"
                )
                file = gr.File(
                    label="Bundle", file_count="single", file_types=[".latchkey"], height=110, elem_id="lk-bundle"
                )
                compared = html(elem_id="lk-compared")
                leave = gr.Checkbox(label="", visible=False, elem_id="lk-leave-out")
                ship = gr.Button("Ship it to all doors", variant="primary", visible=False, elem_id="lk-ship")
                status = html(elem_id="lk-model-status")
            with gr.Column(elem_classes="lk-panel"):
                html("<h2>The way back</h2>")
                past = gr.Dropdown(label="Run before", choices=[], elem_id="lk-past-models")
                sure = gr.Checkbox(label="Also where people have to be enrolled again", elem_id="lk-back-leave-out")
                back = gr.Button("Go back to it", elem_id="lk-model-back")
                gone = html(elem_id="lk-back-status")
    outputs = [running, past, administration]
    gr.on([file.upload, file.clear], work.read, file, [compared, ship, leave, status], preprocess=False, **private)
    ship.click(work.ship, [file, leave], [status, file, *outputs], preprocess=False, **private)
    back.click(work.back, [past, sure], [gone, *outputs], **private)
    return outputs, work.fill
