"""What is kept of people: the switch for photos, and the text that they agree to. An administrator's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from admin_ui import given
from admin_ui.page import markup
from admin_ui.page.api import account_of, at_desk
from admin_ui.page.blocks import QUIET
from admin_ui.page.theme import html
from admin_ui.roles import AccountRole, seat
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

SWITCHED = (
    "<p class='lk-quiet'>Without photos, a new encoder means that everybody is enrolled again; with them it does not. "
    "What is kept is the face alone, 112 pixels wide, sealed with the site's key. Switching off erases all that are "
    "kept.</p>"
)


class KeepingWork:
    """Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> panel, keep, text."""
        try:
            office, _, role = at_desk(self._office, request)
            return gr.update(visible=role is AccountRole.ADMINISTRATOR), office.photo_rule(), office.consent_text()[1]
        except LatchkeyError:
            return gr.update(visible=False), gr.skip(), gr.skip()

    def keep(self, on: bool, request: gr.Request) -> tuple[Any, ...]:
        """-> status, keep."""
        account = account_of(request)
        try:
            told = seat(self._office, account).keep_photos(given.truth(on, "The switch"), account)
            return markup.note(told, "good"), gr.skip()
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), on is False

    def write(self, text: str, request: gr.Request) -> str:
        """-> status."""
        account = account_of(request)
        try:
            told = seat(self._office, account).set_consent_text(given.text(text, "The text"), account)
            return markup.note(f"{told} Reload the page to see it in the form.", "good")
        except LatchkeyError as error:
            return markup.note(str(error), "bad")


def keeping_panel(office: Office) -> tuple[list[Any], Callable[..., Any]]:
    """Build it -> (components to fill at load, the function that fills them)."""
    work = KeepingWork(office)
    with gr.Column(elem_classes="lk-panel", visible=False) as panel:
        html(f"<h2>What is kept of people</h2>{SWITCHED}")
        keep = gr.Checkbox(label="Keep the face of each enrolment photo, sealed", elem_id="lk-keep-photos")
        text = gr.Textbox(label="Text that people agree to", lines=4, max_lines=10, elem_id="lk-consent-edit")
        write = gr.Button("Put this text in force", elem_id="lk-consent-write")
        status = html(elem_id="lk-keeping-status")
    keep.input(work.keep, keep, [status, keep], **QUIET)
    write.click(work.write, text, status, **QUIET)
    return [panel, keep, text], work.fill
