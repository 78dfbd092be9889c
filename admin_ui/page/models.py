"""Tab Models: the encoder in force, another one read, tried at one door, shipped to all, and the way back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import gradio as gr

from admin_ui.page import markup, markup_models
from admin_ui.page.api import account_of
from admin_ui.page.arrival import APPLIED_WAIT_S
from admin_ui.page.blocks import FAILED, QUIET
from admin_ui.page.photo import File, forget_photo, sent_path
from admin_ui.page.theme import html
from admin_ui.roles import AccountRole, seat
from admin_ui.service import Office
from admin_ui.views import Change, ComesAgain
from firmware_config.errors import LatchkeyError

LOOK_S: Final = 0.3
"""Seconds between two looks at how far the templates are."""
TICK_S: Final = 5.0
"""Seconds between two looks at a door that tries an encoder: its visits come one by one."""
Progress = Callable[[int, int], None]


class ModelsWork:
    """Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office, uploads: Any) -> None:
        self._office = office
        self._uploads = uploads

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> running, back, administration, trial, rest, take back, place."""
        account = account_of(request)
        try:
            office = seat(self._office, account)
            running, past = office.model_in_force(), office.models()
            administers = office.own_account(account).role is AccountRole.ADMINISTRATOR
            names = [door.name for door in office.doors()]
            trial = self._trial(request)
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), *[gr.skip()] * 6
        choices = [(f"{one.name} {one.version} (since {one.since:%Y-%m-%d})", one.encoder_id) for one in past[1:]]
        back = gr.update(choices=choices, value=choices[0][1] if choices else None)
        place = gr.update(choices=names, value=names[0] if names else None)
        return markup_models.running(running), back, gr.update(visible=administers), *trial, place

    def tick(self, request: gr.Request) -> tuple[Any, ...]:
        """-> trial, rest, take back."""
        try:
            return self._trial(request)
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), gr.skip(), gr.skip()

    def _trial(self, request: gr.Request) -> tuple[Any, ...]:
        account = account_of(request)
        office = seat(self._office, account)
        found, hidden = office.trial(), gr.update(visible=False)
        if found is None:
            return "", hidden, hidden
        if office.own_account(account).role is not AccountRole.ADMINISTRATOR:
            return markup_models.trial(found), hidden, hidden
        rest = gr.update(
            visible=not found.everywhere or not found.waiting,
            value="Put it in force: everybody has numbers of it" if found.everywhere else "Ship it to all doors",
        )
        return markup_models.trial(found), rest, gr.update(visible=True)

    def read(self, file: File, request: gr.Request) -> tuple[Any, ...]:
        """-> compared, ship, try, leave out, back from, status. back from: the encoder in force, where the file's is
        shown to be older; "" otherwise."""
        hidden = gr.update(visible=False)
        if file is None:
            return "", hidden, hidden, gr.update(visible=False, value=False), "", ""
        office = seat(self._office, account_of(request))
        try:
            now, found = office.model_in_force(), office.read_model(sent_path(file, self._uploads))
        except LatchkeyError as error:
            return "", hidden, hidden, hidden, "", markup.note(str(error), "bad")
        compared = markup_models.compared(now, found)
        words = "Ship the older version to all doors" if found.older else "Ship it to all doors"
        ship = gr.update(visible=not found.refused or found.older, value=words)
        leave = gr.update(
            visible=bool(found.again), value=False, label=f"Yes, {len(found.again)} people are enrolled again by me"
        )
        back_from = now.encoder_id if found.older else ""
        return compared, ship, gr.update(visible=not found.refused), leave, back_from, ""

    def ship(self, file: File, leave_out: bool, back_from: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, file, compared, ship, try, leave out, then as fill."""
        account = account_of(request)

        def work(progress: Progress) -> Change:
            path = sent_path(file, self._uploads)
            office = seat(self._office, account)
            return office.ship_file(path, account, back_from=back_from, leave_out=leave_out is True, progress=progress)

        yield from self._of_file(work, file, request)

    def try_out(self, file: File, door: str | None, leave_out: bool, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> as ship."""
        account = account_of(request)

        def work(progress: Progress) -> Change:
            path = sent_path(file, self._uploads)
            office = seat(self._office, account)
            # Gradio 6 does not send what a list shows in a tab that was opened this moment.
            place = door or next((one.name for one in office.doors()), "")
            return office.try_file(path, place, account, leave_out=leave_out is True, progress=progress)

        yield from self._of_file(work, file, request)

    def rest(self, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, then as fill."""
        account = account_of(request)
        yield from self._told(lambda far: seat(self._office, account).ship_rest(account, progress=far), request)

    def take_back(self, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, then as fill."""
        account = account_of(request)
        yield from self._told(lambda _far: seat(self._office, account).take_back(account), request)

    def back(self, encoder_id: str | None, leave_out: bool, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, then as fill."""
        account = account_of(request)

        def work(progress: Progress) -> Change:
            office = seat(self._office, account)
            return office.ship_again(encoder_id or "", account, leave_out=leave_out is True, progress=progress)

        yield from self._told(work, request)

    def _of_file(
        self, work: Callable[[Progress], Change], file: File, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        done, hidden = False, gr.update(visible=False)
        for told in self._told(work, request):
            # A refusal leaves the file where it is: whoever confirms need not choose it again.
            done = done or told[1] is not SAME
            yield told[0], *((None, "", hidden, hidden, hidden) if done else [SAME] * 5), *told[1:]
        if done:
            forget_photo(file, self._uploads)

    def _told(self, work: Callable[[Progress], Change], request: gr.Request) -> Iterator[tuple[Any, ...]]:
        same = [SAME] * 7
        far = [0, 0]
        made: list[Change | LatchkeyError] = []

        def attempt() -> None:
            try:
                made.append(work(lambda done, of: far.__setitem__(slice(None), [done, of])))
            except LatchkeyError as error:
                made.append(error)

        # It goes on beside us, and to its end: a browser that is closed in the middle leaves nothing half done.
        working = threading.Thread(target=attempt, daemon=True)
        working.start()
        while working.is_alive():
            yield markup_models.making(*far), *same
            working.join(LOOK_S)
        outcome = made[0] if made else None
        if not isinstance(outcome, Change):
            kind = "warn" if isinstance(outcome, ComesAgain) else "bad"
            yield markup.note(str(outcome or FAILED), kind), *same
            return
        yield markup.note(outcome.sentence, busy=bool(outcome.news)), *self.fill(request)
        for told in self._arrival(outcome):
            yield markup.note(outcome.sentence, "good") + told, *same
        yield SAME, *self.fill(request)

    def _arrival(self, change: Change) -> Iterator[str]:
        """Until each door says that it runs the encoder: its self-test has passed then."""
        finished: list[str] = []
        for news in change.news:
            if not news.sent:
                finished.append(markup.note(news.sentence, "warn"))
                continue
            yield "".join([*finished, markup.note(f"Waiting for {news.door} to test it.", busy=True)])
            finished.append(self._arrived(news.door))
        yield "".join(finished)

    def _arrived(self, door: str) -> str:
        try:
            wanted = self._office.wanted_model(door)
            runs = self._office.wait_model(door, wanted, APPLIED_WAIT_S)
            view = self._office.door(door)
        except LatchkeyError as error:
            return markup.note(str(error), "warn")
        if runs:
            return markup.note(f"{door} has tested it and runs it now.", "good")
        if view.refused:
            return markup.note(f"{door} refused it: {view.refused}", "bad")
        return markup.note(f"Sent, but {door} has not said yet that it runs it.", "warn")


SAME: Final = gr.skip()


def models_tab(office: Office, uploads: Any) -> tuple[list[Any], Callable[..., Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = ModelsWork(office, uploads)
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=6, min_width=280, elem_classes="lk-panel"):
            trial = html(elem_id="lk-trial")
            with gr.Row(elem_classes="lk-inline lk-wrap lk-start", elem_id="lk-trial-deeds"):
                rest = gr.Button(
                    "Ship it to all doors", variant="primary", visible=False, min_width=170, elem_id="lk-rest"
                )
                take = gr.Button("Take it back", visible=False, min_width=170, elem_id="lk-take-back")
            tried = html(elem_id="lk-trial-status")
            running = html(elem_id="lk-model")
        with gr.Column(scale=5, min_width=280, elem_classes="lk-stack", visible=False) as administration:
            with gr.Column(elem_classes="lk-panel"):
                html(
                    "<h2>Another encoder</h2><p class='lk-quiet'>A bundle (.latchkey) is checked, tested and compared "
                    "here before any door hears of it. Try it at one door for a day, then ship it to all.</p>"
                )
                file = gr.File(
                    label="Bundle", file_count="single", file_types=[".latchkey"], height=150, elem_id="lk-bundle"
                )
                compared = html(elem_id="lk-compared")
                leave = gr.Checkbox(label="", visible=False, elem_id="lk-leave-out")
                place = gr.Dropdown(label="Door to try it at", choices=[], elem_id="lk-try-place")
                with gr.Row(elem_classes="lk-inline lk-wrap"):
                    first = gr.Button(
                        "Try it at this door first", variant="primary", visible=False, min_width=170, elem_id="lk-try"
                    )
                    ship = gr.Button("Ship it to all doors", visible=False, min_width=170, elem_id="lk-ship")
                status = html(elem_id="lk-model-status")
            with gr.Column(elem_classes="lk-panel"):
                html("<h2>The way back</h2>")
                past = gr.Dropdown(label="Run before", choices=[], elem_id="lk-past-models")
                sure = gr.Checkbox(label="Also where people have to be enrolled again", elem_id="lk-back-leave-out")
                back = gr.Button("Go back to it", elem_id="lk-model-back")
                gone = html(elem_id="lk-back-status")
    outputs = [running, past, administration, trial, rest, take, place]
    timer = gr.Timer(TICK_S)
    timer.tick(work.tick, None, [trial, rest, take], queue=False, **QUIET)
    back_from = gr.State("")
    read = [compared, ship, first, leave, back_from, status]
    gr.on([file.upload, file.clear], work.read, file, read, **QUIET)
    sent = [status, file, compared, ship, first, leave, *outputs]
    ship.click(work.ship, [file, leave, back_from], sent, **QUIET)
    first.click(work.try_out, [file, place, leave], sent, **QUIET)
    rest.click(work.rest, None, [tried, *outputs], **QUIET)
    take.click(work.take_back, None, [tried, *outputs], **QUIET)
    back.click(work.back, [past, sure], [gone, *outputs], **QUIET)
    return outputs, work.fill
