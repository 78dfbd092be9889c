"""Tab People: search, sort and filter; one person opened, edited, suspended, erased."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
CARD: Final = 7
"""Outputs of a card: column, card, name, doors, first, last, suspend."""
SAME: Final = gr.skip()


@dataclass
class Opened:
    """Whose card one browser shows, as it was read: one object a browser, for everything that goes on in it at once.
    A button looks here when it is pressed, and again when it has served, for somebody else may be open by then."""

    person: PersonView | None = None

    def still(self, person: PersonView) -> bool:
        """True while nobody else was opened since."""
        return self.person is not None and self.person.id == person.id


def _pressed(person: PersonView | None) -> PersonView:
    """Which card is open is kept by the page's process; a browser may outlive it. Raises BadInput."""
    if person is None:
        raise BadInput("The page was restarted meanwhile. Open this person once more; nothing was changed.")
    return person


def _unasked() -> Any:
    """The box "It is the same person", for the next photo. Gradio takes an update apart, so each is a new one."""
    return gr.update(value=False, visible=False)


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

    def open(self, opened: Opened, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """-> the card's seven, status, typed, photo, confirm."""
        wanted = str(getattr(event, "person", ""))
        try:
            office = seat(self._office, account_of(request))
            person, doors = office.person(wanted), [door.name for door in office.doors()]
        except LatchkeyError as error:
            opened.person = None
            told = markup.note(str(error), "warn")
            return gr.update(visible=False), *[SAME] * (CARD - 1), told, "", None, _unasked()
        return *self._card(opened, person, doors), "", "", None, _unasked()

    def _card(self, opened: Opened, person: PersonView, doors: list[str] | None = None) -> tuple[Any, ...]:
        opened.person = person
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
        )

    def save(
        self,
        opened: Opened,
        name: str,
        doors: list[str],
        first: str | None,
        last: str | None,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """-> status, the card's seven."""
        account, pressed = account_of(request), opened.person

        def edit(office: Office, person: PersonView) -> Change:
            return office.edit_person(
                person.id,
                person.revision,
                account,
                name=given.text(name, "The name"),
                doors=given.texts(doors, "The doors"),
                valid_from=days.first_moment(days.day(given.text(first or "", "The first day"))),
                valid_until=days.last_moment(days.day(given.text(last or "", "The last day"))),
            )

        yield markup.note("Saving.", busy=True), *[SAME] * CARD
        yield from self._changed(opened, pressed, account, edit)

    def suspend(self, opened: Opened, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, the card's seven. It does what the button says, which may be older than what is so by now."""
        account = account_of(request)
        yield from self._changed(
            opened,
            opened.person,
            account,
            lambda office, person: office.suspend(person.id, not person.suspended, account, revision=person.revision),
        )

    def add_photo(self, opened: Opened, file: File, sure: bool, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> status, the card's seven, photo, confirm."""
        account, pressed = account_of(request), opened.person
        if file is None:
            # What was said of the photo before does not hold for the next.
            yield *[SAME] * (CARD + 2), _unasked()
            return
        try:
            person = _pressed(pressed)
            change = seat(self._office, account).add_photo(
                person.id, photo_bytes(file, self._uploads), account, confirm_unlike=sure is True
            )
        except LatchkeyError as error:
            unlike = isinstance(error, LooksUnlike)
            asked = gr.update(value=False, visible=unlike) if pressed is not None and opened.still(pressed) else SAME
            yield markup.note(str(error), "warn" if unlike else "bad"), *[SAME] * (CARD + 1), asked
            return
        forget_photo(file, self._uploads)
        for told in self._told(opened, person, change, f"has the photo. {change.sentence.partition('. ')[2]}"):
            yield *told, *((None, _unasked()) if opened.still(person) else (SAME, SAME))

    def erase(self, opened: Opened, typed: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> removed, column, typed."""
        account, pressed = account_of(request), opened.person
        yield markup.note("Erasing.", busy=True), SAME, SAME
        try:
            person = _pressed(pressed)
            change = seat(self._office, account).remove(person.id, account, given.text(typed or "", "The name"))
        except LatchkeyError as error:
            yield markup.note(str(error), "bad"), SAME, SAME
            return
        receipt = markup.note(change.sentence, "good")
        if opened.still(person):
            opened.person = None
            yield receipt, gr.update(visible=False), ""
        gone = change.person.name if change.person is not None else person.name
        for told in arrival(self._office, change, f"has forgotten {gone}"):
            yield receipt + told, SAME, SAME

    def _changed(
        self, opened: Opened, pressed: PersonView | None, account: str, work: Callable[[Office, PersonView], Change]
    ) -> Iterator[tuple[Any, ...]]:
        """-> status, the card's seven. pressed: who was open when the button was pressed."""
        office = seat(self._office, account)
        try:
            person = _pressed(pressed)
            try:
                change = work(office, person)
            except Edited as error:
                now = office.person(person.id)
                shown = self._card(opened, now) if opened.still(person) else [SAME] * CARD
                yield markup.note(str(error), "warn"), *shown
                return
        except LatchkeyError as error:
            yield markup.note(str(error), "bad"), *[SAME] * CARD
            return
        yield from self._told(opened, person, change, "has the change")

    def _told(self, opened: Opened, person: PersonView, change: Change, deed: str) -> Iterator[tuple[Any, ...]]:
        """-> status, the card's seven; of somebody whose card is no longer shown no more than that it is done."""
        if not opened.still(person):
            yield markup.note(change.sentence, "good"), *[SAME] * CARD
            return
        shown = self._card(opened, change.person) if change.person is not None else [SAME] * CARD
        yield markup.note(change.sentence, busy=bool(change.news)), *shown
        for told in arrival(self._office, change, deed):
            yield told if opened.still(person) else SAME, *[SAME] * CARD


def people_tab(office: Office, uploads: Path, tab: Any) -> tuple[list[Any], Callable[..., Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = PeopleWork(office, uploads)
    opened = gr.State(Opened())
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
    seven = [column, card, name, doors, first, last, suspend]
    people.click(work.open, opened, [*seven, status, typed, photo, confirm], **QUIET)
    # Past the queue, which would be a second request.
    gr.on([search.input, door.change, state.change, order.change, tab.select], work.listed, asked, people,
          trigger_mode="always_last", queue=False, **QUIET)  # fmt: skip
    saved = save.click(work.save, [opened, name, doors, first, last], [status, *seven], **QUIET)
    suspended = suspend.click(work.suspend, opened, [status, *seven], **QUIET)
    gr.on(
        [photo.change, confirm.input],
        work.add_photo,
        [opened, photo, confirm],
        [status, *seven, photo, confirm],
        show_progress_on=status,
        **QUIET,
    )
    erased = gr.on([erase.click, typed.submit], work.erase, [opened, typed], [removed, column, typed], **QUIET)
    for done in (saved, suspended, erased):
        done.then(work.listed, asked, people, **QUIET)
    return [door, people, editing], work.fill
