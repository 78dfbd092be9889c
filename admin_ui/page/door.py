"""Tab Doors: a card each, what happens there, unlocking and locking down, and pairing a new one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, Final

import gradio as gr

from admin_ui import given
from admin_ui.page import markup, markup_doors
from admin_ui.page.api import account_of, at_desk
from admin_ui.page.arrival import arrival
from admin_ui.page.blocks import QUIET
from admin_ui.page.theme import html
from admin_ui.roles import AccountRole, seat
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

TICK_S: Final = 1.0
"""Seconds between two looks: somebody at the desk who watches somebody at the door should not wait."""
EVENTS_SHOWN: Final = 40
FETCHED: Final = """
element.addEventListener('submit', ({ target }) => setTimeout(() => {
  target.style.display = 'none';
  target.nextElementSibling.hidden = false;
}));
"""
"""A second press would only be told that the folder is gone, on a page of its own."""


class DoorWork:
    """What the tab shows and does. Every method returns values for its outputs in the order its docstring names."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def fill(self, request: gr.Request) -> tuple[Any, ...]:
        """-> chooser, state, feed, acting, administration, fetch."""
        try:
            _, names, role = at_desk(self._office, request)
            fetch = self._fetch(account_of(request)) if role is AccountRole.ADMINISTRATOR else ""
        except LatchkeyError as error:
            return gr.skip(), markup.note(str(error), "bad"), "", gr.skip(), gr.skip(), ""
        chooser = gr.update(choices=names, value=names[0] if names else None, visible=len(names) > 1)
        acting = gr.update(visible=role.covers(AccountRole.OPERATOR) and bool(names))
        administers = gr.update(visible=role is AccountRole.ADMINISTRATOR)
        return chooser, *self._render(request), acting, administers, fetch

    def tick(self, before: tuple[str, str], request: gr.Request) -> tuple[Any, Any, Any]:
        """-> state, feed, seen. What has not changed is not sent again: a page that is being read must not
        flicker or lose a selection."""
        now = self._render(request)
        fresh = [new if new != old else gr.skip() for new, old in zip(now, before, strict=True)]
        return fresh[0], fresh[1], now if now != tuple(before) else gr.skip()

    def unlock(self, name: str | None, reason: str, request: gr.Request) -> tuple[str, Any]:
        """-> answer, why."""
        if not name:
            return markup.note("There is no door to unlock yet; an administrator can pair one.", "bad"), gr.skip()
        account = account_of(request)
        try:
            said = seat(self._office, account).unlock(name, account, given.text(reason or "", "The reason").strip())
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), gr.skip()
        return markup.note(said.sentence, "good" if said.ok else "bad"), "" if said.ok else gr.skip()

    def lock_down(self, name: str | None, reason: str, request: gr.Request) -> Iterator[str]:
        """-> answer."""
        account = account_of(request)
        yield from self._policy(lambda: seat(self._office, account).lock_down(name or "", account, reason or ""))

    def release(self, name: str | None, reason: str, request: gr.Request) -> Iterator[str]:
        """-> answer."""
        account = account_of(request)
        yield from self._policy(lambda: seat(self._office, account).release(name or "", account, reason or ""))

    def _policy(self, change: Callable[[], Any]) -> Iterator[str]:
        yield markup.note("Sending.", busy=True)
        try:
            done = change()
        except LatchkeyError as error:
            yield markup.note(str(error), "bad")
            return
        for told in arrival(self._office, done, "has it now"):
            yield markup.note(done.sentence, "warn") + told

    def look(self, name: str | None, request: gr.Request) -> str:
        """-> glimpse."""
        account = account_of(request)
        try:
            jpeg = seat(self._office, account).look_through(name or "", account)
        except LatchkeyError as error:
            return markup.note(str(error), "bad")
        return markup_doors.glimpse(base64.b64encode(jpeg).decode("ascii"))

    def pair(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """-> status, name, fetch, chooser."""
        account = account_of(request)
        try:
            office = seat(self._office, account)
            office.add_door(given.text(name or "", "The name").strip(), account)
            told = markup.note(f"{str(name).strip()} is made. Fetch its pairing folder now: it is given once.", "good")
            names = [door.name for door in office.doors()]
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), *[gr.skip()] * 3
        chooser = gr.update(choices=names, value=names[0], visible=len(names) > 1)
        return told, "", self._fetch(account), chooser

    def revoke(self, name: str | None, typed: str, request: gr.Request) -> tuple[Any, ...]:
        """-> status, typed, fetch, chooser."""
        account = account_of(request)
        try:
            office = seat(self._office, account)
            if not name or given.text(typed, "The name").strip() != name:
                return markup.note("Type the door's name to revoke it. Nothing was changed.", "bad"), *[gr.skip()] * 3
            told = markup.note(" ".join(office.revoke_door(name, account)), "good")
            names = [door.name for door in office.doors()]
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), *[gr.skip()] * 3
        chooser = gr.update(choices=names, value=names[0] if names else None, visible=len(names) > 1)
        return told, "", self._fetch(account), chooser

    def _fetch(self, account: str) -> str:
        return markup_doors.fetch(seat(self._office, account).waiting_pairings())

    def _render(self, request: gr.Request) -> tuple[str, str]:
        try:
            office = seat(self._office, account_of(request))
            doors, link = office.doors(), self._office.link_sentence()
            cards = "".join(markup.door_card(door, link) for door in doors) or markup.no_door()
            ending = "".join(markup.note(told, "warn") for told in office.web_news())
            return ending + cards, markup.events(office.events("", EVENTS_SHOWN), place=len(doors) > 1)
        except LatchkeyError as error:
            return markup.note(str(error), "bad"), ""


def door_tab(office: Office, tab: Any) -> tuple[list[Any], Callable[..., Any], Any]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them, the timer that runs
    while somebody looks)."""
    work = DoorWork(office)
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=6, min_width=280, elem_classes="lk-stack"):
            with gr.Column(elem_classes="lk-panel"):
                state = html(elem_id="lk-door-state")
            with gr.Column(elem_classes="lk-panel", visible=False) as acting:
                html(
                    "<h2>Act from here</h2><p class='lk-quiet'>Unlocking opens once, for the door's usual time; "
                    "locking down lets nobody in until an administrator releases it. Your name and the reason are "
                    "recorded.</p>"
                )
                chosen = gr.Dropdown(label="Door", choices=[], visible=False, elem_id="lk-door-choice")
                why = gr.Textbox(
                    show_label=False,
                    placeholder="Reason: a courier, a forgotten badge",
                    max_lines=1,
                    max_length=200,
                    container=False,
                    elem_id="lk-why",
                )
                with gr.Row(elem_classes="lk-inline lk-wrap"):
                    unlock = gr.Button("Unlock", variant="primary", min_width=110, elem_id="lk-unlock")
                    down = gr.Button("Lock down", variant="stop", min_width=110, elem_id="lk-lock-down")
                    release = gr.Button("Release", min_width=110, elem_id="lk-release")
                    look = gr.Button("Who is there?", min_width=110, elem_id="lk-look")
                answer = html(elem_id="lk-unlock-status")
                glimpse = html(elem_id="lk-glimpse")
            with gr.Column(elem_classes="lk-panel", visible=False) as administration:
                html(
                    "<h2>Pair a door</h2><p class='lk-quiet'>A new door gets keys and a list of its own. Its pairing "
                    "folder is given once: carry it to the door's computer and to the lock.</p>"
                )
                with gr.Row(elem_classes="lk-inline"):
                    name = gr.Textbox(
                        show_label=False,
                        placeholder="Name: a-z, 0-9, -",
                        max_lines=1,
                        container=False,
                        elem_id="lk-pair",
                    )
                    pair = gr.Button("Make it", min_width=110, elem_id="lk-pair-button")
                fetch = html(elem_id="lk-fetch", js_on_load=FETCHED)
                with gr.Accordion("Revoke a door", open=False):
                    html(
                        "<p class='lk-quiet'>For one that was stolen or given away: its certificates, keys and lists "
                        "are worth nothing afterwards. The door chosen above; type its name.</p>"
                    )
                    typed = gr.Textbox(show_label=False, container=False, max_lines=1, elem_id="lk-revoke-typed")
                    revoke = gr.Button("Revoke it", variant="stop", elem_id="lk-revoke")
                paired = html(elem_id="lk-pair-status")
        with gr.Column(scale=5, min_width=280, elem_classes="lk-panel"):
            html("<h2>What happens at the doors</h2>")
            feed = html(elem_id="lk-events")
    seen = gr.State(("", ""))
    timer = gr.Timer(TICK_S, active=False)

    gr.on([timer.tick, tab.select], work.tick, seen, [state, feed, seen], queue=False, **QUIET)
    gr.on([unlock.click, why.submit], work.unlock, [chosen, why], [answer, why], **QUIET)
    down.click(work.lock_down, [chosen, why], answer, **QUIET)
    release.click(work.release, [chosen, why], answer, **QUIET)
    look.click(work.look, chosen, glimpse, **QUIET)
    gr.on([pair.click, name.submit], work.pair, name, [paired, name, fetch, chosen], **QUIET)
    revoke.click(work.revoke, [chosen, typed], [paired, typed, fetch, chosen], **QUIET)
    return [chosen, state, feed, acting, administration, fetch], work.fill, timer
