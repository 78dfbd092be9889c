"""A glimpse through a camera, and pairing folders that wait -> the page's HTML."""

from __future__ import annotations

from collections.abc import Sequence

from admin_ui.page.markup import esc


def glimpse(jpeg: str) -> str:
    """jpeg: base64. Shown, kept nowhere."""
    return (
        f'<figure class="lk-glimpse"><img alt="What the camera sees now" src="data:image/jpeg;base64,{jpeg}">'
        '<figcaption class="lk-quiet">Of this moment; it is kept nowhere. That you looked is recorded.</figcaption>'
        "</figure>"
    )


def fetch(doors: Sequence[str]) -> str:
    """A button for each folder; a form, so that no browser fetches it by itself."""
    return "".join(
        f'<form class="lk-fetch" method="post" action="pairing/{esc(door)}.zip"><span>{esc(door)} waits for '
        "its pairing folder.</span><button>Fetch it, once</button></form>"
        f'<p class="lk-quiet" hidden>The pairing folder of {esc(door)} is given. Keep it until door and '
        "lock have it.</p>"
        for door in doors
    )
