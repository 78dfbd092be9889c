"""A threshold's evidence in numbers and lists -> the page's HTML; its picture is plot.py's."""

from __future__ import annotations

from admin_ui.evidence import DAYS, LISTED, PER_VISITS
from admin_ui.exhibits import Evidence, Expected, Replay
from admin_ui.page.markup import esc, note, when
from admin_ui.views import EventView


def count(value: float) -> str:
    """Expected numbers in as many digits as they deserve: 0.0031 -> "0.003", 12.3 -> "12"."""
    if value >= 10:
        return f"{value:,.0f}"
    if value >= 0.0005:
        return f"{value:.1g}" if value < 1 else f"{value:.1f}"
    return "almost 0"


def numbers(found: Evidence, means: Expected) -> str:
    """Strangers let in and members turned away, with intervals, and the pair that is nearest."""
    low, high = means.strangers_between
    people = f"{found.people} people" if found.people != 1 else "1 person"
    fewest, most = means.members_between
    tiles = (
        _tile(
            f"Strangers let in, of {PER_VISITS:,} visits",
            count(means.strangers),
            f"between {count(low)} and {count(high)} (95 %), for {people} and {found.templates} photos",
        )
        + _tile(
            "Members' pictures not recognised, of 100",
            count(means.members),
            f"between {count(fewest)} and {count(most)} (95 %); the door looks at several pictures",
        )
        + _pair(found)
    )
    return (
        '<h2>What it means here</h2><p class="lk-quiet">Expected for one picture a visit, as measured on other people; '
        f'the door asks for several that agree, so less gets through.</p><div class="lk-facts">{tiles}</div>'
    )


def _pair(found: Evidence) -> str:
    if found.pair is None:
        return _tile("Most alike of this door's people", "nobody yet", "with two people or more they are named here")
    pair = found.pair
    within = pair.distance <= found.pair_tau
    small = (
        f"distance {pair.distance:.2f}, within the threshold of now: add better photos of both, or lower it"
        if within
        else f"distance {pair.distance:.2f}, beyond the threshold of now"
    )
    names = f"{pair.one} / {pair.other}"
    return _tile("Most alike of this door's people", names, small, "warn" if within else "", typed=True)


def _tile(name: str, value: str, small: str, kind: str = "", *, typed: bool = False) -> str:
    """typed: somebody wrote this value, so that it is the same in every language."""
    same = ' translate="no"' if typed else ""
    return (
        f'<div class="lk-tile lk-{kind or "none"}"><span>{esc(name)}</span><strong{same}>{esc(value)}</strong>'
        f"<small>{esc(small)}</small></div>"
    )


def stops(found: Evidence) -> str:
    """What the three names stand for."""
    told = "".join(
        f"<li>{stop.name} {stop.tau:.3f}: {chance(stop.chance)}"
        f"{' at best, nothing stricter was measured' * stop.limited}</li>"
        for stop in found.stops
    )
    return f'<p class="lk-quiet">One picture of a stranger opens:</p><ul class="lk-chances">{told}</ul>'


def chance(rate: float) -> str:
    """Of an error, to two significant digits: 9.7e-5 -> "1 in 10,000", 1.3e-4 -> "1 in 7,700"."""
    if rate <= 0:
        return "practically never"
    return f"1 in {float(f'{1 / rate:.2g}'):,.0f}"


def source(found: Evidence) -> str:
    """Below the picture."""
    follows = " It follows the number of people at this door until somebody sets it." if found.follows else ""
    since = (
        f"<p class='lk-quiet'>What another encoder measured, before this time, is left out: {when(found.since)}</p>"
        if found.since is not None
        else ""
    )
    carried = (
        f"The door runs {found.carried_by} with the list of the encoder before it. What is drawn was measured between "
        "the two, and so is every distance here."
    )
    return (
        f"{note(carried) if found.carried_by else ''}"
        f'<p class="lk-quiet">The dashed line is what runs now.{follows} The bars are this door\'s '
        f"visits of the last {DAYS} days.</p>{since}"
        f'<p class="lk-quiet">Measured on: {esc(found.view.source)}</p>'
    )


def replay(seen: Replay) -> str:
    """What would have changed."""
    head = f"<h2>What would have changed</h2><p class='lk-quiet'>{seen.visits:,} visits of the last {DAYS} days, "
    head += f"at {seen.tau:.3f}. A refused face has no name here: the door sends none.</p>"
    if not seen.visits:
        return head + '<div class="lk-empty"><p>Nobody has been at this door in that time.</p></div>'
    if not seen.refused_count and not seen.admitted_count:
        return head + '<div class="lk-empty"><p>Nothing: each would have come out the same.</p></div>'
    return (
        head
        + _changed("would have been let in, and was refused", seen.admitted, seen.admitted_count, "warn")
        + _changed("would have been refused, and was let in", seen.refused, seen.refused_count, "bad")
    )


def _who(event: EventView) -> str:
    return f'<strong translate="no">{esc(event.person)}</strong>' if event.person else "<strong>Somebody</strong>"


def _changed(words: str, items: tuple[EventView, ...], total: int, kind: str) -> str:
    if not total:
        return ""
    rows = "".join(
        f'<li class="lk-{kind}">{when(one.at)}<div>{_who(one)} '
        f'<span class="lk-quiet">distance {one.distance or 0:.3f}</span></div></li>'
        for one in items
    )
    more = f", the newest {LISTED} here" if total > LISTED else ""
    return f'<h3>{total:,} {esc(words)}{more}</h3><ol class="lk-events lk-short">{rows}</ol>'
