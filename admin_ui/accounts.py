"""Who may log in to the page."""

from __future__ import annotations

import functools
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select

from admin_ui.acts import record_act
from admin_ui.models import AccountRow
from admin_ui.store import Store, utc_now
from firmware_config.errors import BadInput

MIN_PASSWORD: Final = 10
"""Characters. NIST SP 800-63B asks for eight at least; the page guards a door."""
MAX_PASSWORD: Final = 256
"""Characters: argon2 reads any length, a request need not make it."""
GENERATED_BYTES: Final = 12
"""96 random bits: 16 characters to type once."""
ACCOUNT_CHARACTERS: Final = 64

_hasher = PasswordHasher()
"""argon2id with the library's defaults, which are RFC 9106's second recommendation (64 MiB, 3 passes)."""


def generate_password() -> str:
    """16 characters of A-Z, a-z, 0-9, `-` and `_`."""
    return secrets.token_urlsafe(GENERATED_BYTES)


def set_password(store: Store, name: str, password: str, by: str) -> None:
    """Make an account or change its password. Raises BadInput."""
    name = name.strip()
    if not name or len(name) > ACCOUNT_CHARACTERS or not name.isprintable():
        raise BadInput(f"An account needs a name of 1 to {ACCOUNT_CHARACTERS} printable characters.")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadInput(f"A password needs {MIN_PASSWORD} to {MAX_PASSWORD} characters, this has {len(password)}.")
    hashed = _hasher.hash(password)
    with store.write() as session:
        row = session.get(AccountRow, name)
        if row is None:
            session.add(AccountRow(name=name, hash=hashed, created=utc_now()))
        else:
            row.hash = hashed
        record_act(session, by, "set_password", name)


def accounts(store: Store) -> list[str]:
    """Names, sorted."""
    with store.read() as session:
        return list(session.scalars(select(AccountRow.name).order_by(AccountRow.name)))


@functools.cache
def _hash_of_nobody() -> str:
    return _hasher.hash(generate_password())


class PasswordCheck:
    """Takes as long for an unknown account as for a wrong password, so that time tells no names."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._nobody = _hash_of_nobody()

    def __call__(self, name: str, password: str) -> bool:
        """Raises BadState where the store fails."""
        with self._store.read() as session:
            row = session.get(AccountRow, name.strip())
            hashed = row.hash if row is not None else self._nobody
        try:
            _hasher.verify(hashed, password[: MAX_PASSWORD + 1])
        except (VerificationError, InvalidHashError):
            return False
        return row is not None
