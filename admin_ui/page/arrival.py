"""From "saved" to "the door runs it": what a person at the desk is told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from admin_ui.page import markup
from admin_ui.service import Office
from admin_ui.views import Change, DoorView
from firmware_config.errors import LatchkeyError

APPLIED_WAIT_S: Final = 10.0
"""Seconds that the page waits for a door to say it runs the new list; a door in reach needs less than one."""


def arrival(office: Office, change: Change, deed: str) -> Iterator[str]:
    """HTML for the status line, again and again until each door has said so. deed: "knows Ana now"."""
    finished: list[str] = []
    for news in change.news:
        if not news.sent:
            finished.append(markup.note(news.sentence, "warn"))
            continue
        waiting = markup.note(f"Waiting for {news.door} to take list {news.generation}.", busy=True)
        yield "".join([*finished, waiting])
        try:
            door = office.wait_applied(news.door, news.generation, APPLIED_WAIT_S)
        except LatchkeyError as error:
            finished.append(markup.note(str(error), "warn"))
            continue
        finished.append(_arrived(door, news.generation, deed))
    yield "".join(finished) or markup.note(change.sentence, "good")


def _arrived(door: DoorView, generation: int, deed: str) -> str:
    if door.applied_generation >= generation:
        return markup.note(f"{door.name} {deed} (list {door.applied_generation}).", "good")
    if door.refused:
        return markup.note(f"{door.name} refused the list: {door.refused}", "bad")
    if not door.online:
        return markup.note(f"Saved. {door.name} is offline; it takes the list as soon as it is back.", "warn")
    return markup.note(
        f"Saved and sent, but {door.name} has not said yet that it runs list {generation}. The Doors tab shows "
        "when it does.",
        "warn",
    )
