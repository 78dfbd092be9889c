"""Switches of the site, and the text that people agree to before they are enrolled."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_ui.models import ConsentRow, OptionRow
from admin_ui.store import utc_now
from firmware_config.errors import BadInput

KEEP_PHOTOS: Final = "keep_photos"
LONGEST_CONSENT: Final = 5000
"""Characters: two pages. Longer, nobody reads it at a desk."""
FIRST_CONSENT: Final = (
    "A photo of my face is turned into 128 numbers, with which the doors of this building recognise me. The numbers "
    "stay in this building and are used for nothing else. I can take this back at any time; everything is then erased."
)
"""Version 1, until an administrator writes another. Article 7 of the GDPR: purpose, and that it can be taken back."""


def photos_kept(session: Session) -> bool:
    """False unless an administrator has switched it on."""
    row = session.get(OptionRow, KEEP_PHOTOS)
    return row is not None and row.value is True


def keep_photos(session: Session, on: bool) -> None:
    """In the caller's transaction."""
    session.merge(OptionRow(key=KEEP_PHOTOS, value=on))


def consent(session: Session) -> tuple[int, str]:
    """-> version and text of now."""
    row = session.scalar(select(ConsentRow).order_by(ConsentRow.version.desc()).limit(1))
    return (row.version, row.text) if row is not None else (1, FIRST_CONSENT)


def set_consent(session: Session, text: str) -> int:
    """-> the new version; who agreed to an older one keeps that. Raises BadInput for one that is empty or too long."""
    tidy = text.strip()
    if not tidy or len(tidy) > LONGEST_CONSENT:
        raise BadInput(f"The text of the consent needs 1 to {LONGEST_CONSENT} characters. Nothing was changed.")
    version, before = consent(session)
    if tidy == before:
        return version
    if session.get(ConsentRow, version) is None:
        session.add(ConsentRow(version=version, text=before, since=utc_now()))
    session.add(ConsentRow(version=version + 1, text=tidy, since=utc_now()))
    session.flush()
    return version + 1


def consent_at(session: Session, version: int) -> str:
    """The text of one version, "" for none."""
    now, text = consent(session)
    if version == now:
        return text
    row = session.get(ConsentRow, version)
    return row.text if row is not None else ""
