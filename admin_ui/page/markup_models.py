"""Encoders -> the page's HTML."""

from __future__ import annotations

from admin_ui.bundles import BundleView
from admin_ui.page.markup import esc, note, when
from admin_ui.page.plot import threshold_plot
from admin_ui.trials import Trial, TrialDoor


def running(found: BundleView) -> str:
    """The one in force, with its card."""
    again = (
        f"<p class='lk-quiet'>No photo is kept of {len(found.again)} people: for another encoder they would have to be "
        "enrolled again.</p>"
        if found.again
        else ""
    )
    return f"<h2>{esc(found.name)} {esc(found.version)} is in force</h2>{_facts(found)}{again}{_card(found)}"


def compared(now: BundleView, other: BundleView) -> str:
    """Side by side, then what is against it."""
    head = (
        f"<tr><th></th><th scope='col'>now: {esc(now.version)}</th><th scope='col'>this: {esc(other.version)}</th></tr>"
    )
    rows = "".join(
        f"<tr><th scope='row'>{esc(name)}</th><td>{esc(one)}</td><td>{esc(two)}</td></tr>"
        for (name, one), (_, two) in zip(_rows(now), _rows(other), strict=True)
    )
    against = note(other.refused, "warn" if other.older else "bad") + note(other.doubt, "warn")
    if other.again:
        names = ", ".join(other.again[:30]) + (f" and {len(other.again) - 30} more" if len(other.again) > 30 else "")
        against += note(f"To be enrolled again, for no photo of them is kept: {names}.", "warn")
    elif other.kept:
        names = ", ".join(other.kept[:30]) + (f" and {len(other.kept) - 30} more" if len(other.kept) > 30 else "")
        against += note(
            "Nobody would have to be enrolled again: it may be compared with the numbers of the encoder in force."
            f" No photo is kept of these, who go on with theirs: {names}.",
            "good",
        )
    else:
        against += note("Nobody would have to be enrolled again.", "good")
    table = f'<div class="lk-scroll"><table class="lk-table"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    return f"{table}{against}{_card(other)}"


def making(done: int, of: int) -> str:
    """How far the templates are; a bar once there is something to count."""
    if not of:
        return note("Making templates and sending.", busy=True)
    told = note(f"Making templates from the kept photos: {done} of {of}.", busy=True)
    share = 100 * done // of
    return (
        f'{told}<div class="lk-bar" role="progressbar" aria-valuenow="{share}" aria-valuemin="0" aria-valuemax="100">'
        f'<i style="width:{share}%"></i></div>'
    )


def trial(found: Trial) -> str:
    """What runs ahead of the encoder in force: each door's self-test, and its distances since over the calibration."""
    names = ", ".join(door.name for door in found.doors)
    since = f"<p class='lk-quiet'>Ahead since {when(found.since)}.</p>"
    head = f"<h2>{esc(found.title)} runs ahead at {esc(names)}</h2>{since}"
    told = ""
    if found.carried:
        told += note(
            "The doors compare it with the numbers that the encoder in force made, which is proven to be sound. Nobody "
            "must be enrolled again."
        )
        if found.waiting:
            shown = ", ".join(found.waiting[:30]) + (
                f" and {len(found.waiting) - 30} more" if len(found.waiting) > 30 else ""
            )
            told += f"<p class='lk-quiet'>Still with numbers of the one before: {esc(shown)}.</p>"
    return f"{head}{told}{''.join(_tried(door) for door in found.doors)}"


def _tried(door: TrialDoor) -> str:
    if door.passed:
        state = note(f"{door.name} has passed the self-test and runs it.", "good")
    elif door.refused:
        state = note(f"{door.name} refused it: {door.refused}", "bad")
    else:
        state = note(f"{door.name} has not said yet that it runs it.", "warn")
    if not door.let_in + door.turned_away:
        return f"{state}<p class='lk-quiet'>Nobody has come to {esc(door.name)} since. Give it a day.</p>"
    let_in, refused = door.let_in, door.turned_away
    numbers = f"Of the faces that it compared since then, {door.name} has let in {let_in} and refused {refused}."
    if door.let_in:
        numbers += f" Half of those let in were nearer than {door.median:.2f}; the threshold is {door.plot.tau:.2f}."
    return f"{state}<p>{esc(numbers)}</p>{threshold_plot(door.plot, door.plot.tau, ', since then')}"


def _facts(found: BundleView) -> str:
    rows = "".join(f"<tr><th scope='row'>{esc(name)}</th><td>{esc(value)}</td></tr>" for name, value in _rows(found))
    made = f"<p class='lk-quiet'>Made {when(found.created, day=True)}, sha256 {esc(found.encoder_id[:16])}.</p>"
    return f'<div class="lk-scroll"><table class="lk-table"><tbody>{rows}</tbody></table></div>{made}'


def _rows(found: BundleView) -> list[tuple[str, str]]:
    low, high = found.fnmr_between
    refused = f"{100 * found.fnmr:.0f} of 100 ({100 * low:.0f} to {100 * high:.0f})"
    return [
        ("Pictures of the right person not recognised at FMR 1 in 10,000", refused),
        ("Threshold for that", f"{found.tau:.3f}"),
        ("People it was measured on", f"{found.identities:,}"),
        ("Size", f"{found.size / 1e6:.2f} MB"),
        ("One face, on this machine", f"{found.milliseconds:.1f} ms"),
        ("Licence", found.licence),
        ("Trained on", "; ".join(found.trained_on)),
    ]


def _card(found: BundleView) -> str:
    return (
        f'<details class="lk-consent"><summary>Model card of {esc(found.version)}</summary>'
        f'<pre class="lk-card-text">{esc(found.card)}</pre></details>'
    )
