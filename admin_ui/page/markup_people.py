"""People, consent and batches -> the page's HTML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from admin_ui import days
from admin_ui.page.markup import esc, note, when
from admin_ui.views import PersonView
from admin_ui.waiting import Batch

BATCH_HELP: Final = (
    "<h2>Many at once</h2><p class='lk-quiet'>A ZIP with the photos and one CSV (UTF-8) whose first line is "
    "<code>file,name,doors,from,until,consent</code>; only <code>file</code> and <code>name</code> must be. Doors are "
    "parted by spaces, days are written 2026-03-31, consent is <code>yes</code> for who has agreed. Without a CSV each "
    "photo is named by its file. Nothing is saved until you have seen the table and said yes.</p>"
)
ROWS_SHOWN: Final = 200


def consent(version: int, text: str) -> str:
    """The text of now."""
    return (
        f'<details class="lk-consent"><summary>What they agree to (version {version})</summary>'
        f"<p>{esc(text)}</p></details>"
    )


def photo_rule(kept: bool) -> str:
    """What becomes of the photo."""
    return '<p class="lk-quiet">' + (
        "The face in the photo is kept, sealed, at 112 pixels; the photo itself is not."
        if kept
        else "The photo is not kept: 128 numbers are made of it, and it is erased."
    )


def reading(done: int, of: int) -> str:
    """A bar."""
    share = 100 * done // of if of else 0
    told = f"Looked at {done} of {of} photos." if of else "Reading the ZIP."
    return (
        f'<div class="lk-bar" role="progressbar" aria-valuenow="{share}" aria-valuemin="0" aria-valuemax="100">'
        f'<i style="width:{share}%"></i></div>{note(told, busy=True)}'
    )


def batch_table(waits: Batch) -> str:
    """What would become of each row, or became."""
    rows = waits.rows
    done, refused = sum(row.done for row in rows), sum(not row.ok for row in rows)
    head = f"{done} enrolled" if done else f"{waits.good} good"
    lines = "".join(
        f'<tr class="lk-{"good" if row.ok else "bad"}"><th scope="row" translate="no">{esc(row.name or "?")}'
        f"<small>{esc(row.file)}</small></th>"
        f"<td>{esc(', '.join(row.doors) or 'all doors')}"
        f"<small>{esc(_span(row.valid_from, row.valid_until))}</small></td>"
        f"<td>{'Enrolled.' if row.done else esc(row.sentence)}</td></tr>"
        for row in rows[:ROWS_SHOWN]
    )
    more = (
        f'<p class="lk-quiet">and {len(rows) - ROWS_SHOWN} more in the download</p>' if len(rows) > ROWS_SHOWN else ""
    )
    return (
        f'<p><strong>{head}, {refused} refused.</strong> <a class="lk-link" href="batch.csv" download>Download the '
        f'table</a></p><div class="lk-scroll lk-tall"><table class="lk-table"><thead><tr><th scope="col">Who</th>'
        f'<th scope="col">Where, when</th><th scope="col">What</th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div>{more}"
    )


def people_list(people: Sequence[PersonView], total: int, now: datetime) -> str:
    """A row each, with a button that opens it. total: how many there are besides those shown."""
    if not people:
        return (
            '<div class="lk-empty"><h3>Nobody to show</h3>'
            "<p>Nobody is enrolled yet, or nobody fits what is asked for above.</p></div>"
        )
    rows = "".join(_person(person, now) for person in people)
    more = total - len(people)
    rest = f'<p class="lk-quiet">and {more} more: search by name to see them.</p>' if more > 0 else ""
    return f'<ul class="lk-people">{rows}</ul>{rest}'


def face(person: PersonView) -> str:
    """The kept crop, or initials."""
    if person.kept:
        return f'<img src="portrait/{esc(person.id)}.png" alt="" width="48" height="48" loading="lazy">'
    letters = [word[0] for word in person.name.split() if word]
    initials = "".join(letters[:1] + letters[-1:] if len(letters) > 1 else letters).upper()
    return f'<span class="lk-initials" aria-hidden="true">{esc(initials)}</span>'


def badges(person: PersonView, now: datetime) -> str:
    """What sets this person apart from one who is let in every day."""
    told = []
    if person.suspended:
        told.append(("bad", "suspended"))
    if person.valid_until is not None and person.valid_until <= now:
        told.append(("warn", "over"))
    elif person.valid_until is not None:
        told.append(("none", f"until {days.last_day(person.valid_until)}"))
    if person.valid_from is not None and person.valid_from > now:
        told.append(("warn", f"from {days.first_day(person.valid_from)}"))
    if person.consent_at is None:
        told.append(("warn", "no consent recorded"))
    return "".join(f'<span class="lk-badge lk-{kind}">{esc(word)}</span>' for kind, word in told)


def _person(person: PersonView, now: datetime) -> str:
    doors = ", ".join(person.doors) or "no door"
    return (
        f"<li>{face(person)}<div><strong translate='no'>{esc(person.name)}</strong>"
        f'<span class="lk-quiet">{esc(doors)} · since {when(person.created, day=True)}</span>'
        f"{badges(person, now)}</div>"
        f'<button type="button" class="lk-open" data-person="{esc(person.id)}" '
        f'aria-label="Open {esc(person.name)}">Open</button></li>'
    )


def card(person: PersonView, now: datetime) -> str:
    """One person, above what can be done about them."""
    agreed = (
        f"Agreed to version {person.consent_version} of the text on {when(person.consent_at, day=True)}."
        if person.consent_at is not None
        else "No consent is recorded."
    )
    photos = "1 photo" if person.photos == 1 else f"{person.photos} photos"
    gain = (
        " A second one, in other light or with other glasses, would let the door hesitate less often."
        if person.photos == 1
        else ""
    )
    return (
        f'<div class="lk-person">{face(person)}<div><h2 translate="no">{esc(person.name)}</h2>{badges(person, now)}'
        f'<p class="lk-quiet">Enrolled {when(person.created, day=True)} from {photos}.{gain} {agreed}</p>'
        f'<p><a class="lk-link" href="person/{esc(person.id)}.json" download>Download all that is kept of them</a></p>'
        "</div></div>"
    )


def _span(first: datetime | None, last: datetime | None) -> str:
    if first is None and last is None:
        return ""
    return f"from {days.first_day(first) or 'now'} to {days.last_day(last) or 'no end'}"
