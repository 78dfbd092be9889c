"""Tab People: search, sort and filter; one person opened, edited, suspended, erased."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import gradio as gr

from admin_ui import days, given
from admin_ui.page import markup, markup_people
from admin_ui.page.api import account_of, at_desk
from admin_ui.page.arrival import arrival
from admin_ui.page.blocks import QUIET
from admin_ui.page.photo import File, forget_photo, photo_bytes
from admin_ui.page.theme import html, photo_box
from admin_ui.roles import AccountRole, seat
from admin_ui.service import Office
from admin_ui.store import utc_now
from admin_ui.views import Change, Edited, LooksUnlike, PeopleQuery, PersonView
from firmware_config.errors import BadInput, LatchkeyError

ROW_CLICK: Final = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-person]');
  if (button) trigger('click', { person: button.dataset.person });
});
"""
STATES: Final = [
    ("Everybody", ""),
    ("Suspended", "suspended"),
    ("Validity over", "over"),
    ("Not valid yet", "not yet"),
    ("No door", "no door"),
    ("No consent recorded", "no consent"),
]
ORDERS: Final = [("By name", "name"), ("Newest first", "newest"), ("Ends first", "ends first")]
CARD: Final = 8
"""Outputs of `opened`: column, card, name, doors, first, last, suspend, revision."""


class PeopleWork:
    """What the tab's buttons do. Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office, uploads: Path) -> None:
        self._office = office
        self._uploads = uploads

    def listed(self, text: str, door: str, state: str, order: str, request: gr.Request) -> str:
        """-> list."""
        try:
            wanted = PeopleQuery(given.text(text or "", "The search"), door or "", state or "", order or "name")
            found, total = seat(self._office, account_of(request)).find_people(wanted)
        except LatchkeyError as error:
            return markup.note(str(error), "bad")
        return markup_people.people_list(found, total, utc_now())

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> door filter, list, editing."""
        try:
            _, names, role = at_desk(self._office, request)
        except LatchkeyError as error:
            return gr.skip(), markup.note(str(error), "bad"), gr.skip()
        doors = gr.update(choices=[("Every door", ""), *[(name, name) for name in names]], value="")
        return doors, self.listed("", "", "", "name", request), gr.update(visible=role is AccountRole.ADMINISTRATOR)

    def open(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """-> opened id, the card's eight, status, typed."""
        wanted = str(getattr(event, "person", ""))
        try:
            office = seat(self._office, account_of(request))
            person, doors = office.person(wanted), [door.name for door in office.doors()]
        except LatchkeyError as error:
            return "", gr.update(visible=False), *[gr.skip()] * (CARD - 1), markup.note(str(error), "warn"), ""
        return person.id, *self._card(person, doors), "", ""

    def _card(self, person: PersonView, doors: list[str] | None = None) -> tuple[Any, ...]:
        chosen = list(person.doors)
        boxes = gr.update(value=chosen) if doors is None else gr.update(choices=doors, value=chosen)
        return (
            gr.update(visible=True),
            markup_people.card(person, utc_now()),
            person.name,
            boxes,
            days.first_day(person.valid_from) or None,
            days.last_day(person.valid_until) or None,
            gr.update(value="Let in again" if person.suspended else "Suspend"),
            person.revision,
        )

    def _opened(self, person_id: str) -> str:
        """Which card is open is kept by the page's process; a browser may outlive it. Raises BadInput."""
        if not person_id:
            raise BadInput("The page was restarted meanwhile. Open this person once more; nothing was changed.")
        return person_id

    def save(
        self,
        person_id: str,
        revision: int,
        name: str,
        doors: list[str],
        first: str | None,
        last: str | None,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """-> status, the card's eight."""
        account = account_of(request)
        office = seat(self._office, account)
        yield markup.note("Saving.", busy=True), *[gr.skip()] * CARD
        try:
            change = office.edit_person(
                self._opened(person_id),
                revision,
                account,
                name=given.text(name, "The name"),
                doors=given.texts(doors, "The doors"),
                valid_from=days.first_moment(days.day(given.text(first or "", "The first day"))),
                valid_until=days.last_moment(days.day(given.text(last or "", "The last day"))),
            )
        except Edited as error:
            yield markup.note(str(error), "warn"), *self._card(office.person(person_id))
            return
        except LatchkeyError as error:
            yield markup.note(str(error), "bad"), *[gr.skip()] * CARD
            return
        yield from self._told(change, "has the change")

    def suspend(self, person_id: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, the card's eight."""
        account = account_of(request)
        office = seat(self._office, account)
        try:
            change = office.suspend(self._opened(person_id), not office.person(person_id).suspended, account)
        except LatchkeyError as error:
            yield markup.note(str(error), "bad"), *[gr.skip()] * CARD
            return
        yield from self._told(change, "has the change")

    def add_photo(self, person_id: str, file: File, sure: bool, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, the card's eight, photo, confirm."""
        account, same = account_of(request), gr.skip()
        if file is None:
            yield (*[same] * (CARD + 3),)
            return
        try:
            change = seat(self._office, account).add_photo(
                self._opened(person_id), photo_bytes(file, self._uploads), account, confirm_unlike=sure is True
            )
        except LatchkeyError as error:
            unlike = isinstance(error, LooksUnlike)
            yield markup.note(str(error), "warn" if unlike else "bad"), *[same] * (CARD + 1), gr.update(visible=unlike)
            return
        forget_photo(file, self._uploads)
        for told in self._told(change, f"has the photo. {change.sentence.partition('. ')[2]}"):
            yield *told, None, gr.update(value=False, visible=False)

    def erase(self, person_id: str, typed: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> removed, column, typed, opened id."""
        account, same = account_of(request), gr.skip()
        yield markup.note("Erasing.", busy=True), same, same, same
        try:
            change = seat(self._office, account).remove(
                self._opened(person_id), account, given.text(typed or "", "The name")
            )
        except LatchkeyError as error:
            yield markup.note(str(error), "bad"), same, same, same
            return
        receipt = markup.note(change.sentence, "good")
        gone = change.person.name if change.person is not None else "them"
        yield receipt, gr.update(visible=False), "", ""
        for told in arrival(self._office, change, f"has forgotten {gone}"):
            yield receipt + told, same, same, same

    def _told(self, change: Change, deed: str) -> Iterator[tuple[Any, ...]]:
        shown = self._card(change.person) if change.person is not None else tuple([gr.skip()] * CARD)
        yield markup.note(change.sentence, busy=bool(change.news)), *shown
        for told in arrival(self._office, change, deed):
            yield told, *[gr.skip()] * CARD


def people_tab(office: Office, uploads: Path, tab: Any) -> tuple[list[Any], Callable[..., Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = PeopleWork(office, uploads)
    opened, revision = gr.State(""), gr.State(1)
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=6, min_width=280, elem_classes="lk-panel"):
            html("<h2>People</h2>")
            search = gr.Textbox(
                show_label=False, placeholder="Search by name", max_lines=1, container=False, elem_id="lk-search"
            )
            with gr.Row(elem_classes="lk-inline lk-filters"):
                door = gr.Dropdown(
                    label="May use", choices=[("Every door", "")], value="", min_width=130, elem_id="lk-people-door"
                )
                state = gr.Dropdown(label="Show", choices=STATES, value="", min_width=130, elem_id="lk-state")
                order = gr.Dropdown(label="Order", choices=ORDERS, value="name", min_width=130, elem_id="lk-order")
            removed = html(elem_id="lk-remove-status")
            people = html(elem_id="lk-people", js_on_load=ROW_CLICK)
        with gr.Column(scale=5, min_width=280, elem_classes="lk-panel", visible=False, elem_id="lk-card") as column:
            card = html(elem_id="lk-person")
            with gr.Column(visible=False, elem_classes="lk-bare") as editing:
                name = gr.Textbox(label="Name", max_lines=1, elem_id="lk-edit-name")
                doors = gr.CheckboxGroup(label="May use", choices=[], elem_id="lk-edit-doors")
                with gr.Row(elem_classes="lk-inline"):
                    first = gr.DateTime(label="First day", include_time=False, type="string", elem_id="lk-edit-first")
                    last = gr.DateTime(label="Last day", include_time=False, type="string", elem_id="lk-edit-last")
                with gr.Row(elem_classes="lk-inline"):
                    save = gr.Button("Save", variant="primary", elem_id="lk-save")
                    suspend = gr.Button("Suspend", elem_id="lk-suspend")
            status = html(elem_id="lk-person-status")
            with gr.Accordion("Add a photo", open=False, elem_id="lk-more-photos"):
                photo = photo_box("lk-more-photo", 240)
                confirm = gr.Checkbox(label="It is the same person", visible=False, elem_id="lk-same-person")
            with gr.Accordion("Erase this person", open=False, elem_id="lk-erase-box"):
                html(
                    "<p class='lk-quiet'>Every door forgets them at once; what was made of their photo is erased, "
                    "and their name in old events. This cannot be undone. Type the name to confirm.</p>"
                )
                typed = gr.Textbox(show_label=False, container=False, max_lines=1, elem_id="lk-typed")
                erase = gr.Button("Erase for good", variant="stop", elem_id="lk-erase")

    asked = [search, door, state, order]
    eight = [column, card, name, doors, first, last, suspend, revision]
    people.click(work.open, None, [opened, *eight, status, typed], **QUIET)
    # Past the queue, which would be a second request.
    gr.on([search.input, door.change, state.change, order.change, tab.select], work.listed, asked, people,
          trigger_mode="always_last", queue=False, **QUIET)  # fmt: skip
    saved = save.click(work.save, [opened, revision, name, doors, first, last], [status, *eight], **QUIET)
    suspended = suspend.click(work.suspend, opened, [status, *eight], **QUIET)
    gr.on(
        [photo.change, confirm.input],
        work.add_photo,
        [opened, photo, confirm],
        [status, *eight, photo, confirm],
        show_progress_on=status,
        **QUIET,
    )
    erased = gr.on([erase.click, typed.submit], work.erase, [opened, typed], [removed, column, typed, opened], **QUIET)
    for done in (saved, suspended, erased):
        done.then(work.listed, asked, people, **QUIET)
    return [door, people, editing], work.fill
