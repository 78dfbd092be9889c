"""Plain values -> the page's HTML. Every text that a person, a door or a file gave is escaped here."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Final

import numpy as np
from PIL import Image

from admin_ui.views import DoorView, EventView, Likeness, Verdict
from firmware_config.face import ImageArray
from firmware_config.messages import LEAF_ALARMS, Health

LOCK_WORDS: Final = {"LOCKED": "Locked", "UNLOCKED": "Unlocked", "JAMMED": "Jammed"}
CAMERA_WORDS: Final = {"ok": "Seeing", "opening": "Opening", "lost": "Lost", "frozen": "Frozen", "black": "Black"}
STAGES: Final = (
    *("capture", "wait", "motion", "decode", "detect", "align", "quality", "embed", "match", "decide", "unlock"),
    *("frame", "frame_to_unlock"),
)
"""Order of the way of a frame, and the whole of it; a door may send more, which come after."""
SHOWN_MS: Final = 0.05
"""What is shorter would be shown as no time at all."""
STAGE_WORDS: Final = {"frame_to_unlock": "picture to unlock"}


OVERLAY_PX: Final = 480
"""Long side of the photo that a verdict shows."""


def esc(text: object) -> str:
    return html.escape(str(text), quote=True)


def note(sentence: str, kind: str = "info", *, busy: bool = False) -> str:
    """One sentence in a coloured strip. kind: info, good, warn or bad; "" for no sentence at all."""
    if not sentence:
        return ""
    role = "alert" if kind in ("bad", "warn") else "status"
    spinner = '<span class="lk-busy" aria-hidden="true"></span>' if busy else ""
    return f'<div class="lk-note lk-{kind}" role="{role}">{spinner}<span>{esc(sentence)}</span></div>'


def when(moment: datetime, *, day: bool = False) -> str:
    """An aware time as a <time> element; the page's script shows it in the browser's own zone. day: only its day."""
    utc = moment.astimezone(timezone.utc)
    shown = utc.strftime("%d %b %Y" if day else "%d %b %H:%M")
    kind = ' class="lk-day"' if day else ""
    return f'<time{kind} datetime="{utc.isoformat()}">{shown} UTC</time>'


def header(site: str, account: str, role: str = "") -> str:
    """role: of the account; the style sheet goes by it."""
    return (
        f'<div class="lk-top lk-role-{esc(role or "none")}">'
        '<div class="lk-brand"><img src="key.svg" alt="" width="30" height="30"><h1>Latchkey</h1>'
        f'<span class="lk-site">{esc(site)}</span></div>'
        '<div class="lk-languages" translate="no"><button type="button" data-language="en">English</button>'
        '<button type="button" data-language="zh-CN" lang="zh-CN">中文</button></div>'
        f'<form class="lk-account" method="post" action="logout"><span translate="no">{esc(account)}</span>'
        f"<span>{esc(role)}</span>"
        '<button type="submit">Log out</button></form></div>'
    )


def picture(crop: ImageArray) -> str:
    """uint8[112, 112, 3] RGB -> an <img> of what the door sees."""
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img class="lk-crop" alt="The face as the door sees it" src="data:image/png;base64,{data}">'


def overlay(found: Verdict) -> str:
    """The photo with the box and the five landmarks that were found in it; "" where there is no photo."""
    if found.upright is None:
        return ""
    height, width = found.upright.shape[:2]
    scale = min(1.0, OVERLAY_PX / max(height, width))
    small = Image.fromarray(np.ascontiguousarray(found.upright[:, :, ::-1]))
    small.thumbnail((OVERLAY_PX, OVERLAY_PX))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    shapes = ""
    if found.box is not None:
        x, y, wide, high = (scale * value for value in found.box)
        shapes += f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="6"/>'
    for x, y in found.landmarks if found.landmarks is not None else ():
        shapes += f'<circle cx="{scale * float(x):.1f}" cy="{scale * float(y):.1f}" r="3"/>'
    return (
        f'<svg class="lk-overlay" role="img" aria-label="The photo, with the face that was found marked" '
        f'viewBox="0 0 {small.width} {small.height}"><image href="data:image/jpeg;base64,{data}" '
        f'width="{small.width}" height="{small.height}"/>{shapes}</svg>'
    )


def verdict(found: Verdict | None, sentence: str = "", like: Likeness | None = None) -> str:
    """What was found in a photo, before anything is saved. sentence: why there is no verdict. like: who of the enrolled
    looks most like it."""
    if found is None:
        return note(sentence, "bad")
    kind, title = ("good", "Good to enrol") if found.ok else ("bad", "Not good enough yet")
    if like is not None and like.same:
        kind, title = "warn", "Is this somebody who is enrolled?"
    crop = picture(found.crop) if found.crop is not None else ""
    told = [*found.sentences, *([like.sentence] if like is not None else [])]
    lines = "".join(f"<li>{esc(line)}</li>" for line in told)
    role = "status" if kind == "good" else "alert"
    return (
        f'<div class="lk-verdict lk-{kind}" role="{role}">{overlay(found)}<div class="lk-told">{crop}<div>'
        f"<h3>{title}</h3><ul>{lines}</ul></div></div></div>"
    )


def door_card(door: DoorView, link_sentence: str = "") -> str:
    """State of one door: what a person at a desk wants to know first, then the numbers."""
    health = door.health if door.online else None
    pill = (
        '<span class="lk-pill lk-good">Online</span>' if door.online else '<span class="lk-pill lk-bad">Offline</span>'
    )
    if door.locked_down:
        pill += '<span class="lk-pill lk-bad">Locked down</span>'
    problems = [sentence for sentence in (link_sentence, *door.problems) if sentence]
    notes = "".join(note(sentence, "warn") for sentence in dict.fromkeys(problems))
    notes += "".join(note(sentence) for sentence in door.notes)
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
        + _tile("Encoder", door.model_version or "none", _heat(health) or door.encoder_id[:12], kind="none")
    )
    return (
        f'<section class="lk-door"><header><h2 translate="no">{esc(door.name)}</h2>{pill}</header>{notes}'
        f'<div class="lk-tiles">{tiles}</div>{_stages(health)}</section>'
    )


def _heat(health: Health | None) -> str:
    if health is None or health.temperature_c is None:
        return ""
    return f"board at {health.temperature_c:.0f} °C"


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
    small = ", ".join(word for word, so in (("forced", health.forced_open), ("held", health.held_open)) if so)
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
    times = {name: took for name, took in health.stage_ms.items() if took >= SHOWN_MS}
    order = [*(name for name in STAGES if name in times), *sorted(set(times) - set(STAGES))]
    longest = max(times.values(), default=1.0)
    rows = "".join(
        f"<div><dt>{esc(STAGE_WORDS.get(name, name.replace('_', ' ')))}</dt>"
        f'<dd><i style="width:{max(1.0, 100 * times[name] / longest):.0f}%"></i><b>{times[name]:.1f} ms</b></dd></div>'
        for name in order
    )
    return f'<h3 class="lk-small-title">Where the time of a picture goes</h3><dl class="lk-stages">{rows}</dl>'


def no_door() -> str:
    return (
        '<div class="lk-empty"><h3>There is no door yet</h3><p>Pair one below; or, on the machine that '
        "runs this page, <code>latchkey-admin door add front</code> makes one.</p></div>"
    )


def events(items: Iterable[EventView], *, why: bool = False, place: bool = False) -> str:
    """The newest events first, each as a sentence. why: with a button each that asks for the reasons. place: with the
    door's name."""
    rows = "".join(_event(item, why=why, place=place or why) for item in items)
    if not rows:
        return (
            '<div class="lk-empty"><h3>Nothing has happened yet</h3>'
            "<p>Whoever is let in or refused appears here at once.</p></div>"
        )
    return f'<ol class="lk-events" aria-label="Events, newest first">{rows}</ol>'


def event_title(item: EventView) -> str:
    """In two or three words."""
    if item.outcome == "granted":
        return f"{item.person} came in" if item.person else "Opened"
    if item.outcome == "denied":
        return "Refused"
    return "Look at the door" if item.reason in LEAF_ALARMS else "Notice"


def _event(item: EventView, *, why: bool, place: bool) -> str:
    kind = {"granted": "good", "denied": "bad"}.get(item.outcome, "bad" if item.reason in LEAF_ALARMS else "info")
    # "Let in." would say the title once more.
    sentence = "" if item.outcome == "granted" and item.reason == "granted" else item.sentence
    if item.by:
        sentence = f"{sentence} By {item.by}: {item.why}" if item.why else f"{sentence} By {item.by}."
    near = f"distance {item.distance:.2f}" if item.distance is not None else ""
    scene = f"scene {item.scene}" if item.scene else ""
    facts = " · ".join(part for part in (item.reason.replace("_", " "), near, scene) if part)
    where = f'<span translate="no">{esc(item.door)}</span> · ' if place else ""
    told = f"<span>{esc(facts)}</span>" if place else esc(facts)
    detail = f"<p>{esc(sentence)}</p>" if sentence else ""
    asked = (
        f' <button type="button" class="lk-ask-why" data-door="{esc(item.door)}" data-event="{esc(item.id)}" '
        f'aria-label="Why: {esc(event_title(item))}">Why</button>'
        if why
        else ""
    )
    return (
        f'<li class="lk-{kind}">{when(item.at)}<div><strong>{esc(event_title(item))}</strong>{detail}'
        f'<span class="lk-quiet">{where}{told}{asked}</span></div></li>'
    )
