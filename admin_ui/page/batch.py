"""Many at once: a ZIP is read with a bar, its table looked at, and nobody is saved before the yes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import gradio as gr

from admin_ui.page import markup, markup_people
from admin_ui.page.api import account_of
from admin_ui.page.arrival import arrival
from admin_ui.page.blocks import QUIET
from admin_ui.page.photo import File, forget_photo, sent_path
from admin_ui.page.theme import html
from admin_ui.roles import seat
from admin_ui.service import Office
from admin_ui.waiting import Batch
from firmware_config.errors import LatchkeyError

LOOK_S: Final = 0.3
"""Seconds between two looks at how far the reading is."""


class BatchWork:
    """Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office, uploads: Path) -> None:
        self._office = office
        self._uploads = uploads

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> table, enrol, drop, shown: what waits for this account's yes, after a reload of the browser too."""
        account = account_of(request)
        try:
            return self._shown(seat(self._office, account).waiting_batch(account))
        except LatchkeyError:
            return self._shown(None)

    def read(self, file: File, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, file, table, enrol, drop, shown."""
        if file is None:
            yield (*[gr.skip()] * 6,)
            return
        account, same = account_of(request), gr.skip()
        far = [0, 0]
        made: list[Batch | LatchkeyError] = []

        def progress(done: int, of: int) -> None:
            far[:] = [done, of]

        def work() -> None:
            try:
                path = sent_path(file, self._uploads)
                made.append(seat(self._office, account).read_batch(path, account, progress))
            except LatchkeyError as error:
                made.append(error)

        # Reading tells how far it is only to who asks: it goes on beside us.
        reading = threading.Thread(target=work, daemon=True)
        reading.start()
        while reading.is_alive():
            yield markup_people.reading(*far), *[same] * 5
            reading.join(LOOK_S)
        forget_photo(file, self._uploads)
        outcome = made[0] if made else None
        if isinstance(outcome, Batch):
            yield "", None, *self._shown(outcome)
        else:
            yield (
                markup.note(str(outcome or "The page failed on this file; its log says how."), "bad"),
                None,
                *[same] * 4,
            )

    def enrol(self, shown: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, table, enrol, drop, shown. shown: which batch the table is of; the same account may have read
        another one in another tab."""
        account, same = account_of(request), gr.skip()
        yield markup.note("Saving.", busy=True), same, gr.update(interactive=False), gr.update(interactive=False), same
        try:
            office = seat(self._office, account)
            change = office.enrol_batch(account, shown)
            left = self._shown(office.waiting_batch(account))
        except LatchkeyError as error:
            yield markup.note(str(error), "bad"), *self.fill(request)
            return
        yield markup.note(change.sentence, busy=True), *left
        for told in arrival(self._office, change, "knows them now"):
            yield told, *[same] * 4
        yield same, same, gr.update(interactive=True), gr.update(interactive=True), same

    def drop(self, shown: str, request: gr.Request) -> tuple[Any, ...]:
        """-> status, table, enrol, drop, shown."""
        account = account_of(request)
        try:
            seat(self._office, account).drop_batch(account, shown)
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), *[gr.skip()] * 4
        return markup.note("Forgotten; nobody was saved.", "good"), *self._shown(None)

    def _shown(self, waits: Batch | None) -> tuple[Any, ...]:
        if waits is None:
            return "", gr.update(visible=False), gr.update(visible=False), ""
        button = gr.update(visible=waits.good > 0, value=f"Enrol these {waits.good}", interactive=True)
        return markup_people.batch_table(waits), button, gr.update(visible=True, interactive=True), waits.id


def batch_panel(office: Office, uploads: Path) -> tuple[list[Any], Callable[..., Any]]:
    """Build it -> (components to fill at load, the function that fills them)."""
    work = BatchWork(office, uploads)
    html(markup_people.BATCH_HELP)
    file = gr.File(
        label="ZIP of photos and a CSV", file_count="single", file_types=[".zip"], height=150, elem_id="lk-batch"
    )
    status = html(elem_id="lk-batch-status")
    table = html(elem_id="lk-batch-table")
    with gr.Row(elem_classes="lk-inline"):
        enrol = gr.Button("Enrol these", variant="primary", visible=False, elem_id="lk-batch-enrol")
        drop = gr.Button("Forget them", visible=False, elem_id="lk-batch-drop")
    shown = gr.State("")
    outputs = [table, enrol, drop, shown]
    file.upload(work.read, file, [status, file, *outputs], **QUIET)
    enrol.click(work.enrol, shown, [status, *outputs], **QUIET)
    drop.click(work.drop, shown, [status, *outputs], **QUIET)
    return outputs, work.fill
