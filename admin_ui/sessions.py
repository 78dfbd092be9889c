"""Who is logged in: rows of the store, so that a session ends everywhere at once, whichever process opened it."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from datetime import timedelta
from typing import Final

from sqlalchemy import delete

from admin_ui.accounts import find_account
from admin_ui.acts import record_act
from admin_ui.models import SessionRow
from admin_ui.store import Store, utc_now

SESSION_S: Final = 12 * 3600
"""Seconds: a working day. OWASP's session cheat sheet gives 4 to 8 hours for office use; a door's live view
stays open on a desk longer than that."""
REMEMBERED_S: Final = 1.0
"""Seconds that an answer about a session is good for: a page asks for sixty files at once, and a session that another
process ended lives on for a second at most."""
TOKENS_REMEMBERED: Final = 1024


class SessionBook:
    """Safe to use from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[str | None, float]] = {}

    def open(self, account: str, came_from: str) -> str:
        """-> the token of a new session. came_from: an address, for the record. Raises BadInput, BadState."""
        token = secrets.token_urlsafe(24)
        now = utc_now()
        with self._store.write() as session:
            find_account(session, account)
            session.execute(delete(SessionRow).where(SessionRow.opened < now - timedelta(seconds=SESSION_S)))
            session.add(SessionRow(token_hash=hashed(token), account=account, opened=now))
            record_act(session, account, "log_in", came_from)
        return token

    def account(self, token: str) -> str | None:
        """Whose session this is; None: nobody's, ended or over. Raises BadState."""
        now = time.monotonic()
        with self._lock:
            known = self._seen.get(token)
        if known is not None and now - known[1] < REMEMBERED_S:
            return known[0]
        with self._store.read() as session:
            row = session.get(SessionRow, hashed(token))
        good = row is not None and (utc_now() - row.opened).total_seconds() < SESSION_S
        account = row.account if row is not None and good else None
        with self._lock:
            if len(self._seen) >= TOKENS_REMEMBERED:
                self._seen.clear()
            self._seen[token] = (account, now)
        return account

    def close(self, token: str) -> None:
        """For whoever kept the cookie too. One that is over already is none of the record's. Raises BadState."""
        with self._store.write() as session:
            row = session.get(SessionRow, hashed(token))
            if row is not None:
                session.delete(row)
                record_act(session, row.account, "log_out", row.account)
        self.forget()

    def forget(self) -> None:
        """Sessions were ended in the store: ask it anew."""
        with self._lock:
            self._seen.clear()


def hashed(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
