"""Tab Enrol: one person from webcam or file, judged before anything is saved; beside it many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from admin_ui import days, given
from admin_ui.page import markup, markup_people
from admin_ui.page.api import account_of
from admin_ui.page.arrival import arrival
from admin_ui.page.batch import batch_panel
from admin_ui.page.blocks import QUIET
from admin_ui.page.keeping import keeping_panel
from admin_ui.page.photo import File, forget_photo, photo_bytes, put_photo
from admin_ui.page.theme import html, photo_box
from admin_ui.roles import seat
from admin_ui.service import Office
from admin_ui.views import LooksLike, TextChanged
from firmware_config.errors import BadInput, LatchkeyError

NO_CONSENT = "Have them read the text and agree, then tick the box below it. Nothing was saved."
TEXT_UNKNOWN = (
    "The page was restarted meanwhile. Have them read the text once more, then tick the box anew. Nothing was saved."
)
NO_DOOR = "Choose at least one door. Nothing was saved."
APPROVE = "This is the best picture that {door} has of the last three seconds. Enrol only if it is the right person."


class EnrolWork:
    """What the form does. Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office, uploads: Path) -> None:
        self._office = office
        self._uploads = uploads

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> doors, consent text, consent, text shown, rule, place."""
        office = seat(self._office, account_of(request))
        try:
            names = [door.name for door in office.doors()]
            text = self._text(office)
            rule = markup_people.photo_rule(office.photo_rule())
        except LatchkeyError as error:
            return gr.skip(), markup.note(str(error), "bad"), gr.skip(), gr.skip(), "", gr.skip()
        doors = gr.update(choices=names, value=names, visible=len(names) > 1)
        place = gr.update(choices=names, value=names[0] if names else None)
        return doors, *text, rule, place

    def _text(self, office: Office) -> tuple[Any, ...]:
        """-> consent text, consent, text shown: a tick is for one version. Raises LatchkeyError."""
        version, text = office.consent_text()
        ticked = gr.update(value=False, label=f"They have read this text (version {version}) and agree")
        return markup_people.consent(version, text), ticked, version

    def _chosen(self, office: Office, doors: object) -> list[str]:
        """For the office no door means every door; where there is a choice, that is no answer. Raises BadInput."""
        names = given.texts(doors, "The doors")
        if not names and len(office.doors()) > 1:
            raise BadInput(NO_DOOR)
        return names

    def look(self, file: File, came_from: str, request: gr.Request) -> tuple[Any, ...]:
        """-> verdict, confirm, status, came from: a new photo makes what was said about the last one old; an empty
        place for a photo does not, for that is how enrolling ends. came_from: the door that has just sent it, ""."""
        hidden = gr.update(value=False, visible=False)
        if file is None:
            return "", hidden, gr.skip(), gr.skip()
        try:
            office = seat(self._office, account_of(request))
            found, like = office.compare_photo(photo_bytes(file, self._uploads))
        except LatchkeyError as error:
            return markup.verdict(None, str(error)), hidden, "", ""
        alike = like is not None and like.same
        approve = markup.note(APPROVE.format(door=came_from), "warn") if came_from else ""
        return markup.verdict(found, like=like), gr.update(value=False, visible=alike), approve, ""

    def from_door(self, door: str | None, request: gr.Request) -> tuple[Any, ...]:
        """-> photo, status, came from: the best picture of who stands at the door, as if it had been chosen as a
        file. It is shown for approval; nothing is saved before somebody enrols."""
        account = account_of(request)
        try:
            office = seat(self._office, account)
            # Gradio 6 does not send what a list shows in a tab that was opened this moment.
            names = [one.name for one in office.doors()] if not door else [door]
            if len(names) != 1:
                raise BadInput("Choose the door at which the person stands, then ask again.")
            jpeg = office.best_face(names[0], account)
        except LatchkeyError as error:
            return gr.skip(), markup.note(str(error), "bad"), ""
        return str(put_photo(jpeg, self._uploads)), "", names[0]

    def enrol(
        self,
        who: str,
        file: File,
        doors: list[str],
        first: str | None,
        last: str | None,
        agreed: bool,
        sure: bool,
        shown: int,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """-> status, enrol, confirm, photo, name, verdict, first, last, consent text, consent, text shown. Nothing that
        was typed is lost by an error. shown: version of the text, 0 where the page does not know."""
        same = gr.skip()
        account = account_of(request)
        office = seat(self._office, account)
        yield markup.note("Saving.", busy=True), gr.update(interactive=False), *[same] * 9
        try:
            _check_agreed(agreed, shown)
            change = office.enrol(
                given.text(who, "The name"),
                photo_bytes(file, self._uploads),
                self._chosen(office, doors),
                account,
                confirm_duplicate=sure is True,
                valid_from=days.first_moment(days.day(given.text(first or "", "The first day"))),
                valid_until=days.last_moment(days.day(given.text(last or "", "The last day"))),
                consent=True,
                text_read=shown,
            )
        except TextChanged as error:
            yield markup.note(str(error), "warn"), gr.update(interactive=True), *[same] * 6, *self._text(office)
            return
        except LatchkeyError as error:
            alike = isinstance(error, LooksLike)
            told = markup.note(str(error), "warn" if alike else "bad")
            asked = gr.update(visible=True) if alike else same
            yield told, gr.update(interactive=True), asked, *[same] * 8
            return
        forget_photo(file, self._uploads)
        cleared = (gr.update(value=False, visible=False), None, "", "", None, None, same, False, same)
        yield markup.note(change.sentence, busy=True), same, *cleared
        person = change.person.name if change.person is not None else who.strip()
        for told in arrival(self._office, change, f"knows {person} now"):
            yield told, *[same] * 10
        yield same, gr.update(interactive=True), *[same] * 9


def _check_agreed(agreed: object, shown: int) -> None:
    """Raises BadInput; views.TextChanged (one too) where nobody knows what the tick was for."""
    if agreed is not True:
        raise BadInput(NO_CONSENT)
    if not shown:
        raise TextChanged(TEXT_UNKNOWN)


def enrol_tab(office: Office, uploads: Path) -> list[tuple[list[Any], Callable[..., Any]]]:
    """Build the tab inside Blocks -> pairs of components to fill at load and the function that fills them."""
    work = EnrolWork(office, uploads)
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=6, min_width=280, elem_classes="lk-panel"):
            html("<h2>Enrol someone</h2>")
            photo = photo_box("lk-photo", 340)
            with gr.Row(elem_classes="lk-inline lk-filters"):
                place = gr.Dropdown(label="Or at the door", choices=[], elem_id="lk-place", scale=3)
                ask = gr.Button("Take what its camera sees", min_width=180, scale=2, elem_id="lk-from-door")
            verdict = html(elem_id="lk-verdict")
            name = gr.Textbox(label="Name", placeholder="As colleagues know them", max_lines=1, elem_id="lk-name")
            doors = gr.CheckboxGroup(label="May use", choices=[], elem_id="lk-doors")
            with gr.Row(elem_classes="lk-inline"):
                first = gr.DateTime(
                    label="First day (empty: from now)", include_time=False, type="string", elem_id="lk-first"
                )
                last = gr.DateTime(
                    label="Last day (empty: no end)", include_time=False, type="string", elem_id="lk-last"
                )
            text = html(elem_id="lk-consent-text")
            agreed = gr.Checkbox(label="They have read this text and agree", elem_id="lk-consent")
            rule = html(elem_id="lk-photo-rule")
            confirm = gr.Checkbox(
                label="Yes, this is another person who looks alike", visible=False, elem_id="lk-confirm"
            )
            enrol = gr.Button("Enrol", variant="primary", elem_id="lk-enrol")
            status = html(elem_id="lk-enrol-status")
        with gr.Column(scale=5, min_width=280, elem_classes="lk-stack"):
            with gr.Column(elem_classes="lk-panel"):
                batch = batch_panel(office, uploads)
            keeping = keeping_panel(office)

    came, shown = gr.State(""), gr.State(0)
    # Past the queue, which would be a second request.
    photo.change(work.look, [photo, came], [verdict, confirm, status, came], queue=False, **QUIET)
    ask.click(work.from_door, place, [photo, status, came], show_progress_on=status, **QUIET)
    gr.on(
        [enrol.click, name.submit],
        work.enrol,
        [name, photo, doors, first, last, agreed, confirm, shown],
        [status, enrol, confirm, photo, name, verdict, first, last, text, agreed, shown],
        show_progress_on=status,
        **QUIET,
    )
    return [([doors, text, agreed, shown, rule, place], work.fill), batch, keeping]
