"""Plain values -> the page's HTML. Every text that a person, a door or a file gave is escaped here."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Final

from PIL import Image

from admin_ui.views import DoorView, EventView, PersonView, Verdict
from firmware_config.face import ImageArray
from firmware_config.messages import LEAF_ALARMS, Health

LOCK_WORDS: Final = {"LOCKED": "Locked", "UNLOCKED": "Unlocked", "JAMMED": "Jammed"}
CAMERA_WORDS: Final = {"ok": "Seeing", "opening": "Opening", "lost": "Lost", "frozen": "Frozen", "black": "Black"}
STAGES: Final = ("detect", "align", "quality", "embed", "match", "decide", "frame_to_unlock")
"""Order of the way of a frame; a door may send more, which come after."""
STAGE_WORDS: Final = {"frame_to_unlock": "picture to unlock"}


def esc(text: object) -> str:
    return html.escape(str(text), quote=True)


def note(sentence: str, kind: str = "info", *, busy: bool = False) -> str:
    """One sentence in a coloured strip. kind: info, good, warn or bad; "" for no sentence at all."""
    if not sentence:
        return ""
    role = "alert" if kind in ("bad", "warn") else "status"
    spinner = '<span class="lk-busy" aria-hidden="true"></span>' if busy else ""
    return f'<div class="lk-note lk-{kind}" role="{role}">{spinner}<span>{esc(sentence)}</span></div>'


def when(moment: datetime) -> str:
    """An aware time as a <time> element; page.js shows it in the browser's own zone."""
    utc = moment.astimezone(timezone.utc)
    shown = utc.strftime("%d %b %H:%M")
    return f'<time datetime="{utc.isoformat()}">{shown} UTC</time>'


def header(site: str, account: str) -> str:
    return (
        '<div class="lk-top"><div class="lk-brand"><img src="key.svg" alt="" width="30" height="30"><h1>Latchkey</h1>'
        f'<span class="lk-site">{esc(site)}</span></div>'
        f'<form class="lk-account" method="post" action="logout"><span>{esc(account)}</span>'
        '<button type="submit">Log out</button></form></div>'
    )


def picture(crop: ImageArray) -> str:
    """uint8[112, 112, 3] RGB -> an <img> of what the door sees."""
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img class="lk-crop" alt="The face as the door sees it" src="data:image/png;base64,{data}">'


def verdict(found: Verdict | None, sentence: str = "") -> str:
    """What was found in a photo, before anything is saved. sentence: why there is no verdict."""
    if found is None:
        return note(sentence, "bad")
    kind, title = ("good", "Good to enrol") if found.ok else ("bad", "Not good enough yet")
    crop = picture(found.crop) if found.crop is not None else ""
    lines = "".join(f"<li>{esc(line)}</li>" for line in found.sentences)
    role = "status" if found.ok else "alert"
    return f'<div class="lk-verdict lk-{kind}" role="{role}">{crop}<div><h3>{title}</h3><ul>{lines}</ul></div></div>'


def people_list(people: Sequence[PersonView], shown: int = 200) -> str:
    """The list of people, a Remove button each. shown: rows at most, the rest is told in a sentence."""
    if not people:
        return (
            '<div class="lk-empty"><h3>Nobody is enrolled yet</h3>'
            "<p>Take a photo of the first person; the doors know them a moment later.</p></div>"
        )
    rows = "".join(_person(person) for person in people[:shown])
    more = len(people) - shown
    rest = f'<p class="lk-quiet">and {more} more: search by name to see them.</p>' if more > 0 else ""
    return f'<ul class="lk-people">{rows}</ul>{rest}'


def _person(person: PersonView) -> str:
    doors = ", ".join(person.doors) or "no door"
    return (
        f'<li><img src="portrait/{esc(person.id)}.png" alt="" width="48" height="48" loading="lazy">'
        f"<div><strong>{esc(person.name)}</strong>"
        f'<span class="lk-quiet">{esc(doors)} · since {when(person.created)}</span></div>'
        f'<button type="button" class="lk-remove" data-person="{esc(person.id)}" '
        f'aria-label="Remove {esc(person.name)}">Remove</button></li>'
    )


def door_card(door: DoorView, link_sentence: str = "") -> str:
    """State of one door: what a person at a desk wants to know first, then the numbers."""
    health = door.health if door.online else None
    pill = (
        '<span class="lk-pill lk-good">Online</span>' if door.online else '<span class="lk-pill lk-bad">Offline</span>'
    )
    problems = [sentence for sentence in (link_sentence, *door.problems) if sentence]
    notes = "".join(note(sentence, "warn") for sentence in dict.fromkeys(problems))
    lock_kind = {"LOCKED": "good", "UNLOCKED": "warn", "JAMMED": "bad"}.get(door.lock, "none")
    camera = health.camera if health is not None else "unknown"
    tiles = (
        _tile("Lock", LOCK_WORDS.get(door.lock, "Unknown"), kind=lock_kind)
        + _leaf(health)
        + _tile(
            "Camera",
            CAMERA_WORDS.get(camera, camera.capitalize()),
            f"{health.fps:.0f} pictures a second" if health is not None else "",
            kind={"ok": "good", "unknown": "none", "opening": "warn"}.get(camera, "bad"),
        )
        + _tile("People", str(door.people), _step(door), kind="good" if door.in_step else "warn")
        + _tile("Encoder", door.model_version or "none", door.encoder_id[:12], kind="none")
    )
    return (
        f'<section class="lk-door"><header><h2>{esc(door.name)}</h2>{pill}</header>{notes}'
        f'<div class="lk-tiles">{tiles}</div>{_stages(health)}</section>'
    )


def _step(door: DoorView) -> str:
    if door.in_step:
        return f"up to date, list {door.generation}"
    if door.applied_generation == 0:
        return f"list {door.generation} sent, none running yet"
    return f"list {door.generation} sent, {door.applied_generation} running"


def _leaf(health: Health | None) -> str:
    """The leaf, where there is a contact that says how it is."""
    if health is None:
        return ""
    small = " and ".join(word for word, so in (("forced", health.forced_open), ("held", health.held_open)) if so)
    if health.contact == "unknown" and not small:
        return ""
    kind = "bad" if small else {"closed": "good"}.get(health.contact, "warn")
    return _tile("Leaf", health.contact.capitalize(), small, kind)


def _tile(name: str, value: str, small: str = "", kind: str = "none") -> str:
    detail = f"<small>{esc(small)}</small>" if small else ""
    return f'<div class="lk-tile lk-{kind}"><span>{esc(name)}</span><strong>{esc(value)}</strong>{detail}</div>'


def _stages(health: Health | None) -> str:
    if health is None or not health.stage_ms:
        return ""
    times = health.stage_ms
    order = [*(name for name in STAGES if name in times), *sorted(set(times) - set(STAGES))]
    cells = "".join(
        f"<div><dt>{esc(STAGE_WORDS.get(name, name.replace('_', ' ')))}</dt><dd>{times[name]:.1f} ms</dd></div>"
        for name in order
    )
    return f'<h3 class="lk-small-title">Last picture, step by step</h3><dl class="lk-stages">{cells}</dl>'


def no_door() -> str:
    return (
        '<div class="lk-empty"><h3>There is no door yet</h3><p>On the machine that runs this page, '
        "<code>latchkey-admin door add front</code> makes one.</p></div>"
    )


def events(items: Iterable[EventView]) -> str:
    """The newest events first, each as a sentence."""
    rows = "".join(_event(item) for item in items)
    if not rows:
        return (
            '<div class="lk-empty"><h3>Nothing has happened yet</h3>'
            "<p>Whoever is let in or refused appears here at once.</p></div>"
        )
    return f'<ol class="lk-events" aria-label="Events, newest first">{rows}</ol>'


def _event(item: EventView) -> str:
    kind = {"granted": "good", "denied": "bad"}.get(item.outcome, "info")
    sentence = item.sentence
    if item.outcome == "granted":
        title = f"{item.person} came in" if item.person else "Opened"
        # "Let in." would say the title once more.
        sentence = "" if item.reason == "granted" else sentence
    elif item.outcome == "denied":
        title = "Refused"
    elif item.reason in LEAF_ALARMS:
        kind, title = "bad", "Look at the door"
    else:
        title = "Notice"
    if item.by:
        sentence = f"{sentence} By {item.by}: {item.why}" if item.why else f"{sentence} By {item.by}."
    near = f"distance {item.distance:.2f}" if item.distance is not None else ""
    scene = f"scene {item.scene}" if item.scene else ""
    facts = " · ".join(part for part in (item.reason.replace("_", " "), near, scene) if part)
    detail = f"<p>{esc(sentence)}</p>" if sentence else ""
    return (
        f'<li class="lk-{kind}">{when(item.at)}<div><strong>{esc(title)}</strong>{detail}'
        f'<span class="lk-quiet">{esc(facts)}</span></div></li>'
    )
