"""Accounts and acts -> the page's HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Final

from PIL import Image

from admin_ui.page.markup import esc, note, when
from admin_ui.reception import AccountView, ActView, CodeSecret
from admin_ui.roles import ROLE_SENTENCES
from firmware_config.face import ImageArray

ACT_WORDS: Final = {
    "accept_audit": "watches the audit anew of",
    "add_door": "made the door",
    "add_photo": "added a photo of",
    "audit_alarm": "raised the alarm:",
    "change_password": "changed the password of",
    "consent_text": "wrote the consent text,",
    "edit": "changed",
    "end_suspension": "lets in again",
    "enrol": "enrolled",
    "enrol_batch": "enrolled many:",
    "erase": "erased somebody.",
    "erase_again": "erased again.",
    "export_events": "downloaded events:",
    "export_person": "downloaded the data of",
    "fetch_pairing": "downloaded the pairing folder of",
    "follow_gallery": "has the threshold follow the people at",
    "home_assistant": "decided:",
    "keep_photos": "switched keeping photos",
    "lock_down": "locked down",
    "log_in": "logged in from",
    "log_out": "logged out:",
    "look_through": "looked through the camera of",
    "overtake": "restored:",
    "prune_events": "deleted old events:",
    "release": "released",
    "remove_account": "removed the account",
    "renew_door": "renewed the certificates of",
    "revoke_door": "revoked",
    "set_doors": "changed the doors of",
    "set_password": "set the password of",
    "set_role": "changed a role,",
    "set_tau": "moved the threshold of",
    "ship_model": "shipped the encoder",
    "suspend": "suspended",
    "totp_off": "switched one-time codes off for",
    "totp_on": "switched one-time codes on for",
    "undo_tau": "undid the threshold of",
    "unlock": "unlocked",
    "write_broker": "wrote the broker's folder",
    "write_client": "gave a certificate:",
}


def own(account: AccountView) -> str:
    """The account of whoever looks."""
    codes = "asks for one-time codes" if account.codes else "asks for no one-time codes"
    return (
        f"<h2>{esc(account.name)}</h2><p class='lk-quiet'>You are {esc(account.role.value)}: your account "
        f"{esc(ROLE_SENTENCES[account.role])}, and {codes}.</p>"
    )


def listed(accounts: Sequence[AccountView]) -> str:
    """A row each."""
    rows = "".join(
        f"<tr><th scope='row' translate='no'>{esc(one.name)}</th><td>{esc(one.role.value)}</td>"
        f"<td>{'on' if one.codes else 'off'}</td><td>{when(one.created, day=True)}</td></tr>"
        for one in accounts
    )
    head = "<tr><th scope='col'>Account</th><th scope='col'>Role</th><th scope='col'>Codes</th><th>Since</th></tr>"
    return f'<div class="lk-scroll"><table class="lk-table"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def password(account: str, secret: str) -> str:
    """Shown once."""
    return (
        f'<div class="lk-note lk-good" role="status"><span>{esc(account)} logs in with <code>{esc(secret)}</code>. '
        "Hand it over now; it is shown this once. They change it under Accounts.</span></div>"
    )


def secret(made: CodeSecret, qr: ImageArray) -> str:
    """What the telephone's app reads, as a picture and for typing."""
    buffer = io.BytesIO()
    Image.fromarray(qr).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<figure class="lk-qr"><img alt="QR code for the authenticator app" src="data:image/png;base64,{data}">'
        f"<figcaption>Scan it with the app, or type <code>{esc(made.typed)}</code> (it is shown this once); then "
        "write the code that the app shows below.</figcaption></figure>"
    )


def acts(items: Sequence[ActView]) -> str:
    """The newest first."""
    if not items:
        return note("Nothing was done yet.")
    rows = "".join(
        f"<li>{when(one.at)}<div><strong translate='no'>{esc(one.by)}</strong> "
        f"{esc(ACT_WORDS.get(one.what, one.what))} "
        f"<span>{esc(one.subject)}</span></div></li>"
        for one in items
    )
    return f'<ol class="lk-events lk-acts" aria-label="Acts, newest first">{rows}</ol>'
