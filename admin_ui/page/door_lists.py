"""Lists of doors to choose from, on every tab. A door that was paired since the page was opened is in them, and one
that was revoked is gone, as soon as somebody turns to another tab. What was chosen stays chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import gradio as gr

from admin_ui.page.api import at_desk
from admin_ui.page.blocks import QUIET
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

FILTERS: Final = ("lk-people-door", "lk-events-door")
"""Begin with every door."""
ONE: Final = ("lk-place", "lk-door-choice", "lk-threshold-door", "lk-try-place")
SEVERAL: Final = "lk-doors"
HIDDEN_FOR_ONE: Final = ("lk-door-choice", "lk-threshold-door", SEVERAL)
"""Where there is nothing to choose while there is one door."""


def add_door_lists(blocks: Any, office: Office, tabs: Any) -> None:
    """Inside Blocks, when all tabs are built."""
    found = {block.elem_id: block for block in blocks.blocks.values() if getattr(block, "elem_id", None)}
    ids = (*FILTERS, *ONE, SEVERAL)
    lists = [found[one] for one in ids]
    known = gr.State([])

    def remember(request: gr.Request) -> Any:
        try:
            return at_desk(office, request)[1]
        except LatchkeyError:
            return gr.skip()

    def renew(
        before: Any,
        people: Any,
        events: Any,
        place: Any,
        door: Any,
        threshold: Any,
        trial: Any,
        several: Any,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        try:
            names = at_desk(office, request)[1]
        except LatchkeyError:
            names = before
        if names == before:
            return gr.skip(), *[gr.skip()] * len(lists)
        chosen = dict(zip(ids, (people, events, place, door, threshold, trial, several), strict=True))
        return names, *renewed(names, before, chosen).values()

    blocks.load(remember, None, known, **QUIET)
    tabs.select(renew, [known, *lists], [known, *lists], queue=False, **QUIET)


def renewed(names: Sequence[str], before: Sequence[str], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Each list's update, in the order of `chosen`, which says what is chosen in each, as the browser has it. names: of
    all doors, before: until now. A new door is ticked for whoever is being enrolled, as at first."""
    updates: dict[str, Any] = {}
    stays: Any
    for one, value in chosen.items():
        if one == SEVERAL:
            ticked = value if isinstance(value, list) else []
            stays = [name for name in names if name in ticked or name not in before]
        else:
            first = "" if one in FILTERS else names[0] if names else None
            stays = value if value in names else first
        choices = [("Every door", "")] * (one in FILTERS) + [(name, name) for name in names]
        shown = {"visible": len(names) > 1} if one in HIDDEN_FOR_ONE else {}
        updates[one] = gr.update(choices=choices, value=stays, **shown)
    return updates
