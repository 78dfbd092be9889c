"""Tab Events: live and filtered, why each came out as it did, a download, and whether the records are whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

import gradio as gr

from admin_ui import days, given
from admin_ui.chronicle import EventQuery
from admin_ui.page import markup, markup_events
from admin_ui.page.api import account_of
from admin_ui.page.blocks import QUIET
from admin_ui.page.theme import html
from admin_ui.roles import seat
from admin_ui.sentences import AT_THE_DOOR
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

TICK_S: Final = 2.0
"""Seconds between two looks: somebody reads here; the Doors tab looks every second."""
EVENT_BUTTONS: Final = """
const told = (button) => button && { door: button.dataset.door, event: button.dataset.event };
element.addEventListener('click', (event) => {
  const chosen = told(event.target.closest('[data-event]'));
  if (chosen) trigger('click', chosen);
});
// A new event comes in at the top, and Gradio rewrites the list in place: the button in hand would become the one of
// another event. Whoever is on an event's button stays with the event.
let held = null;
const isHeld = (button) => button.dataset?.event === held.event && button.dataset.door === held.door;
element.addEventListener('focusin', (event) => { held = told(event.target.closest('[data-event]')); });
element.addEventListener('focusout', ({ target }) => {
  // After what is watched below: a button that was rewritten away has not been left by anybody.
  setTimeout(() => { if (target.isConnected && !element.contains(document.activeElement)) held = null; });
});
new MutationObserver(() => {
  const hand = document.activeElement;
  if (!held || isHeld(hand) || (hand !== document.body && !element.contains(hand))) return;
  [...element.querySelectorAll('[data-event]')].find(isHeld)?.focus({ preventScroll: true });
}).observe(element, { subtree: true, childList: true, attributeFilter: ['data-event', 'data-door'] });
"""
OUTCOMES: Final = [("All", ""), ("Let in", "granted"), ("Refused", "denied"), ("Notices", "notice")]
REASONS: Final = [("Every reason", ""), *sorted((code.replace("_", " "), str(code)) for code in AT_THE_DOOR)]
FIELDS: Final = {
    "door": "The door",
    "person": "The person",
    "outcome": "The outcome",
    "reason": "The reason",
    "first": "The first day",
    "last": "The last day",
}
"""Names of a filter's values, in the download's address as in the tab, and what they are called."""


def query_of(values: dict[str, Any], limit: int = 100) -> EventQuery:
    """What a browser says of FIELDS -> the query. Raises BadInput."""
    text = {name: given.text(values.get(name) or "", words) for name, words in FIELDS.items()}
    return EventQuery(
        text["door"],
        text["person"],
        text["reason"],
        text["outcome"],
        days.first_moment(days.day(text["first"])),
        days.last_moment(days.day(text["last"])),
        limit,
    )


class EventsWork:
    """What the tab shows. Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> door, list, link."""
        try:
            names = [door.name for door in seat(self._office, account_of(request)).doors()]
        except LatchkeyError as error:
            return gr.skip(), markup.note(str(error), "bad"), ""
        doors = gr.update(choices=[("Every door", ""), *[(name, name) for name in names]], value="")
        return doors, *self._shown([""] * len(FIELDS), request)

    def show(self, *values: Any, request: gr.Request) -> tuple[Any, Any]:
        """-> list, link."""
        return self._shown(list(values), request)

    def tick(self, door: Any, person: Any, outcome: Any, reason: Any, first: Any, last: Any, before: str,
             request: gr.Request) -> tuple[Any, Any, Any]:  # fmt: skip
        """-> list, link, seen. What has not changed is not sent again."""
        now = self._shown([door, person, outcome, reason, first, last], request)
        return (gr.skip(), gr.skip(), gr.skip()) if now[0] == before else (*now, now[0])

    def why(self, event: gr.EventData, request: gr.Request) -> str:
        """-> why."""
        door, number = str(getattr(event, "door", "")), str(getattr(event, "event", ""))
        try:
            return markup_events.why(seat(self._office, account_of(request)).event_why(door, number))
        except LatchkeyError as error:
            return markup.note(str(error), "warn")

    def verify(self, request: gr.Request) -> str:
        """-> whole."""
        try:
            return markup_events.whole(seat(self._office, account_of(request)).verify_audit())
        except LatchkeyError as error:
            return markup.note(str(error), "bad")

    def _shown(self, values: list[Any], request: gr.Request) -> tuple[str, str]:
        named = dict(zip(FIELDS, values, strict=True))
        try:
            found, total = seat(self._office, account_of(request)).find_events(query_of(named))
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), ""
        address = urlencode({name: value for name, value in named.items() if value})
        link = (
            f'<a class="lk-link" href="events.csv?{markup.esc(address)}" download>Download these {total:,} events as '
            "CSV</a>"
        )
        more = f'<p class="lk-quiet">The newest {len(found)} of {total:,}.</p>' if total > len(found) else ""
        return markup.events(found, why=True) + more, f"<p>{link}</p>" if total else ""


def events_tab(office: Office, tab: Any) -> tuple[list[Any], Callable[..., Any], Any]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them, the timer that runs
    while somebody looks)."""
    work = EventsWork(office)
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=6, min_width=280, elem_classes="lk-panel"):
            html("<h2>What happened</h2>")
            with gr.Row(elem_classes="lk-inline lk-filters"):
                door = gr.Dropdown(
                    label="Door", choices=[("Every door", "")], value="", min_width=130, elem_id="lk-events-door"
                )
                outcome = gr.Dropdown(label="Outcome", choices=OUTCOMES, value="", min_width=130, elem_id="lk-outcome")
                reason = gr.Dropdown(label="Reason", choices=REASONS, value="", min_width=130, elem_id="lk-reason")
            with gr.Row(elem_classes="lk-inline lk-filters"):
                person = gr.Textbox(label="Person", max_lines=1, min_width=130, elem_id="lk-event-person")
                first = gr.DateTime(label="From", include_time=False, type="string", min_width=130, elem_id="lk-from")
                last = gr.DateTime(label="To", include_time=False, type="string", min_width=130, elem_id="lk-to")
            listed = html(elem_id="lk-all-events", js_on_load=EVENT_BUTTONS)
            link = html(elem_id="lk-events-csv")
        with gr.Column(scale=5, min_width=280, elem_classes="lk-stack"):
            with gr.Column(elem_classes="lk-panel"):
                html("<h2>Why?</h2>")
                why = html("<p class='lk-quiet'>Choose Why beside an event.</p>", elem_id="lk-why-event")
            with gr.Column(elem_classes="lk-panel"):
                html(
                    "<h2>Are the records whole?</h2><p class='lk-quiet'>Every decision of a door and everything that "
                    "is done here stands in a chain: what is changed, moved or cut off shows.</p>"
                )
                verify = gr.Button("Verify the records", elem_id="lk-verify")
                whole = html(elem_id="lk-whole")
    seen = gr.State("")
    timer = gr.Timer(TICK_S, active=False)
    asked = [door, person, outcome, reason, first, last]

    def show(
        door: Any, person: Any, outcome: Any, reason: Any, first: Any, last: Any, request: gr.Request
    ) -> tuple[Any, Any]:
        return work.show(door, person, outcome, reason, first, last, request=request)

    triggers = [door.change, person.input, outcome.change, reason.change, first.change, last.change, tab.select]
    at_once = {**QUIET, "queue": False}
    gr.on(triggers, show, asked, [listed, link], trigger_mode="always_last", **at_once)
    timer.tick(work.tick, [*asked, seen], [listed, link, seen], **at_once)
    listed.click(work.why, None, why, **QUIET)
    verify.click(work.verify, None, whole, **QUIET)
    return [door, listed, link], work.fill, timer
