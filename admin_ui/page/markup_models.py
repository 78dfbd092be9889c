"""Encoders -> the page's HTML."""

from __future__ import annotations

from admin_ui.bundles import BundleView
from admin_ui.page.markup import esc, note, when


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
    against = note(other.refused, "warn" if other.older else "bad")
    if other.again:
        names = ", ".join(other.again[:30]) + (f" and {len(other.again) - 30} more" if len(other.again) > 30 else "")
        against += note(f"To be enrolled again, for no photo of them is kept: {names}.", "warn")
    else:
        against += note("Nobody would have to be enrolled again.", "good")
    table = f'<div class="lk-scroll"><table class="lk-table"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    return f"{table}{against}{_card(other)}"


def _facts(found: BundleView) -> str:
    rows = "".join(f"<tr><th scope='row'>{esc(name)}</th><td>{esc(value)}</td></tr>" for name, value in _rows(found))
    made = f"<p class='lk-quiet'>Made {when(found.created)}, sha256 {esc(found.encoder_id[:16])}.</p>"
    return f'<div class="lk-scroll"><table class="lk-table"><tbody>{rows}</tbody></table></div>{made}'


def _rows(found: BundleView) -> list[tuple[str, str]]:
    low, high = found.fnmr_between
    refused = f"{100 * found.fnmr:.0f} of 100 ({100 * low:.0f} to {100 * high:.0f})"
    return [
        ("Pictures of the right person not recognised at FMR 1 in 10,000", refused),
        ("Threshold for that", f"{found.tau:.3f}"),
        ("People that was measured on", f"{found.identities:,}"),
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
