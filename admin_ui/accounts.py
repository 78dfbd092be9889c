"""Who may log in to the page."""

from __future__ import annotations

import functools
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from admin_ui.acts import record_act
from admin_ui.models import AccountRow, SessionRow
from admin_ui.roles import AccountRole
from admin_ui.store import Store, shortened, utc_now
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


def set_password(
    store: Store, name: str, password: str, by: str, role: AccountRole | None = None, *, new_only: bool = False
) -> None:
    """Make an account or change its password, which ends its sessions. role: None keeps an account's, and makes a new
    one an administrator. new_only: an account that is there is refused. Raises BadInput."""
    name = name.strip()
    if not name or len(name) > ACCOUNT_CHARACTERS or not name.isprintable():
        raise BadInput(
            f"An account needs a name of 1 to {ACCOUNT_CHARACTERS} printable characters. Nothing was changed."
        )
    hashed = hash_password(password)
    with store.write() as session:
        row = session.get(AccountRow, name)
        if row is not None and new_only:
            raise BadInput(f"There is an account {name} already. Choose another name.")
        if row is None:
            row = AccountRow(name=name, hash=hashed, created=utc_now(), role=(role or AccountRole.ADMINISTRATOR).value)
            session.add(row)
        else:
            row.hash = hashed
            end_sessions(session, name)
        if role is not None and row.role != role.value:
            set_role(session, row, role)
        record_act(session, by, "set_password", f"{name} ({row.role})")


def hash_password(password: str) -> str:
    """Raises BadInput for one that is too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadInput(f"A password needs {MIN_PASSWORD} to {MAX_PASSWORD} characters, this has {len(password)}.")
    return _hasher.hash(password)


def find_account(session: Session, name: str) -> AccountRow:
    """Raises BadInput."""
    row = session.get(AccountRow, name)
    if row is None:
        raise BadInput(f"There is no account {shortened(name)} (any more). Reload the list.")
    return row


def set_role(session: Session, row: AccountRow, role: AccountRole) -> None:
    """Raises BadInput where it would leave nobody who may do everything."""
    if role is not AccountRole.ADMINISTRATOR:
        keep_an_administrator(session, row)
    row.role = role.value


def keep_an_administrator(session: Session, leaving: AccountRow) -> None:
    """Raises BadInput where `leaving` is the last."""
    others = select(AccountRow.name).where(
        AccountRow.role == AccountRole.ADMINISTRATOR.value, AccountRow.name != leaving.name
    )
    if leaving.role == AccountRole.ADMINISTRATOR.value and session.scalar(others.limit(1)) is None:
        raise BadInput(
            f"{leaving.name} is the only administrator. Make another account an administrator first. "
            "Nothing was changed."
        )


def end_sessions(session: Session, name: str, but: str = "") -> None:
    """Whoever is logged in as this account has to log in again. but: token_hash of the one that may stay."""
    session.execute(delete(SessionRow).where(SessionRow.account == name, SessionRow.token_hash != but))


def accounts(store: Store) -> list[str]:
    """Names, sorted."""
    with store.read() as session:
        return list(session.scalars(select(AccountRow.name).order_by(AccountRow.name)))


def drop_codes(store: Store, name: str, by: str) -> None:
    """Ask this account for no one-time codes any more. Raises BadInput."""
    with store.write() as session:
        row = find_account(session, name)
        row.totp = row.totp_pending = None
        record_act(session, by, "totp_off", name)


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
