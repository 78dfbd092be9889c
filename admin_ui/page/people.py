"""Tab People: enrol from webcam or file, verdict before saving, list, remove."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import gradio as gr

from admin_ui.page import markup
from admin_ui.page.api import account_of
from admin_ui.page.arrival import arrival
from admin_ui.page.photo import forget_photo, photo_bytes
from admin_ui.page.theme import html
from admin_ui.service import Office
from admin_ui.views import LooksLike
from firmware_config.errors import LatchkeyError

ROW_CLICK: Final = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-person]');
  if (button) trigger('click', { person: button.dataset.person });
});
"""

File = dict[str, Any] | None


class PeopleWork:
    """What the tab's buttons do. Every method returns values for its outputs in the order that `wire` names."""

    def __init__(self, office: Office, uploads: Path) -> None:
        self._office = office
        self._uploads = uploads

    def listed(self, wanted: str = "") -> str:
        needle = wanted.strip().casefold()
        try:
            return markup.people_list([p for p in self._office.people() if needle in p.name.casefold()])
        except LatchkeyError as error:
            return markup.note(str(error), "bad")

    def fill(self) -> tuple[Any, str]:
        """-> doors, list."""
        names = [door.name for door in self._office.doors()]
        return gr.update(choices=names, value=names, visible=len(names) > 1), self.listed()

    def look(self, file: File) -> tuple[str, Any, Any]:
        """-> verdict, confirm, status: a new photo makes what was said about the last one old; an empty place for a
        photo does not, for that is how enrolling ends."""
        hidden = gr.update(value=False, visible=False)
        if file is None:
            return "", hidden, gr.skip()
        try:
            return markup.verdict(self._office.examine(photo_bytes(file, self._uploads))), hidden, ""
        except LatchkeyError as error:
            return markup.verdict(None, str(error)), hidden, ""

    def enrol(
        self, who: str, file: File, doors: list[str], sure: bool, wanted: str, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        """-> status, enrol, confirm, photo, name, verdict, list. Nothing that was typed is lost by an error."""
        same = gr.skip()
        yield markup.note("Saving.", busy=True), gr.update(interactive=False), *[same] * 5
        try:
            image = photo_bytes(file, self._uploads)
            change = self._office.enrol(who, image, doors or (), account_of(request), confirm_duplicate=sure)
        except LatchkeyError as error:
            alike = isinstance(error, LooksLike)
            told = markup.note(str(error), "warn" if alike else "bad")
            yield told, gr.update(interactive=True), gr.update(visible=alike or sure), *[same] * 4
            return
        forget_photo(file, self._uploads)
        cleared = (gr.update(value=False, visible=False), None, "", "")
        yield markup.note(change.sentence, busy=True), same, *cleared, self.listed(wanted)
        person = change.person.name if change.person is not None else who.strip()
        for told in arrival(self._office, change, f"knows {person} now"):
            yield told, *[same] * 6
        yield same, gr.update(interactive=True), *[same] * 5

    def ask(self, event: gr.EventData) -> tuple[str, Any, str, Any, str]:
        """-> asked, ask, question, remove, removed."""
        wanted = str(getattr(event, "person", ""))
        person = next((p for p in self._office.people() if p.id == wanted), None)
        if person is None:
            gone = markup.note("They are not enrolled any more.", "warn")
            return "", gr.update(visible=False), "", gr.skip(), gone
        text = (
            f"<p><strong>Remove {markup.esc(person.name)}?</strong> Every door forgets them at once; the photo and "
            "what was made of it are erased. This cannot be undone.</p>"
        )
        return person.id, gr.update(visible=True), text, gr.update(value=f"Remove {person.name}"), ""

    def remove(self, person_id: str, wanted: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """-> ask, removed, list."""
        same = gr.skip()
        yield gr.update(visible=False), markup.note("Removing.", busy=True), same
        gone = next((p.name for p in self._office.people() if p.id == person_id), "them")
        try:
            change = self._office.remove(person_id, account_of(request))
        except LatchkeyError as error:
            yield same, markup.note(str(error), "bad"), self.listed(wanted)
            return
        yield same, markup.note(change.sentence, busy=True), self.listed(wanted)
        for told in arrival(self._office, change, f"has forgotten {gone}"):
            yield same, told, same


def people_tab(office: Office, uploads: Path) -> tuple[list[Any], Callable[[], Any]]:
    """Build the tab inside Blocks -> (components to fill at load, the function that fills them)."""
    work = PeopleWork(office, uploads)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    with gr.Row(elem_classes="lk-columns"):
        with gr.Column(scale=5, min_width=280, elem_classes="lk-panel"):
            html("<h2>Enrol someone</h2>")
            photo = gr.Image(
                label="Photo",
                show_label=False,
                sources=["webcam", "upload"],
                type="filepath",
                image_mode=None,
                height=320,
                buttons=[],
                # The photo is kept as the camera sees it; only the live view is mirrored, by the style sheet.
                webcam_options=gr.WebcamOptions(mirror=False),
                placeholder="Drop a photo here, or click to choose one",
                elem_id="lk-photo",
            )
            verdict = html(elem_id="lk-verdict")
            name = gr.Textbox(label="Name", placeholder="As colleagues know them", max_lines=1, elem_id="lk-name")
            doors = gr.CheckboxGroup(label="May use", choices=[], elem_id="lk-doors")
            confirm = gr.Checkbox(
                label="Yes, this is another person who looks alike", visible=False, elem_id="lk-confirm"
            )
            enrol = gr.Button("Enrol", variant="primary", elem_id="lk-enrol")
            status = html(elem_id="lk-enrol-status")
        with gr.Column(scale=6, min_width=280, elem_classes="lk-panel"):
            html("<h2>People</h2>")
            search = gr.Textbox(
                show_label=False, placeholder="Search by name", max_lines=1, container=False, elem_id="lk-search"
            )
            asked = gr.State("")
            with gr.Column(visible=False, elem_classes="lk-ask") as ask:
                question = html()
                with gr.Row():
                    keep = gr.Button("Keep", size="sm", elem_id="lk-keep")
                    remove = gr.Button("Remove", variant="stop", size="sm", elem_id="lk-remove")
            removed = html(elem_id="lk-remove-status")
            people = html(elem_id="lk-people", js_on_load=ROW_CLICK)

    photo.change(work.look, photo, [verdict, confirm, status], preprocess=False, **private)
    gr.on(
        [enrol.click, name.submit],
        work.enrol,
        [name, photo, doors, confirm, search],
        [status, enrol, confirm, photo, name, verdict, people],
        preprocess=False,
        **private,
    )
    people.click(work.ask, None, [asked, ask, question, remove, removed], **private)
    keep.click(lambda: gr.update(visible=False), None, ask, **private)
    remove.click(work.remove, [asked, search], [ask, removed, people], **private)
    search.input(work.listed, search, people, trigger_mode="always_last", **private)
    return [doors, people], work.fill
