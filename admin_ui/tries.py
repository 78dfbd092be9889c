"""Guessing made slow: tries to log in are counted in the store, for all processes of the page and across restarts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select

from admin_ui.models import TriesRow
from admin_ui.store import Store

FREE_TRIES: Final = 5
"""Wrong passwords from one address before it has to wait: a person mistypes twice, seldom five times."""
LONGEST_WAIT_S: Final = 60.0
FORGOTTEN_S: Final = 3600.0
"""Seconds after the last one. Whoever goes on guessing has sixty tries in that time; who waits gets five for it."""
LONGEST_ADDRESS: Final = 64
"""Characters. An IPv6 address has 45 at most; what a proxy says of its client may be anything."""
WHO_KEPT: Final = 4096
"""Addresses and accounts remembered at once; the oldest is forgotten, so that strangers do not fill the store."""


def wait_s(count: int, last: datetime, now: datetime) -> float:
    """Seconds until the next try may be made, after `count` wrong ones of which the last was at `last`; 0: now."""
    passed = (now - last).total_seconds()
    # From far ahead: the clock was set back since. It is no reason to keep somebody out until then.
    if count < FREE_TRIES or not -LONGEST_WAIT_S <= passed < FORGOTTEN_S:
        return 0.0
    pause = min(2.0 ** min(count - FREE_TRIES, 30), LONGEST_WAIT_S)
    return max(0.0, pause - max(passed, 0.0))


class Tries:
    """Safe to use from any thread and process.

    Rules:
    - counted by whoever it is that tries: an address, or an account whose password was right;
    - the first FREE_TRIES cost nothing, each further one doubles the wait, from 1 s to LONGEST_WAIT_S;
    - a try counts as wrong from the moment it begins, so that a thousand at once are no more than one after another;
    - a try during the wait is refused unread and does not lengthen the wait;
    - one that was right forgets who made it; so does time, after FORGOTTEN_S.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, who: Sequence[str], now: datetime) -> float:
        """0: it may be made, and counts for each of `who`; otherwise seconds to wait. Raises BadState."""
        known = select(TriesRow).where(TriesRow.who.in_(who))
        with self._store.read() as session:
            wait = max((wait_s(row.count, row.last, now) for row in session.scalars(known)), default=0.0)
        if wait > 0:
            return wait  # nobody writes for them
        with self._store.write() as session:
            session.execute(delete(TriesRow).where(TriesRow.last <= now - timedelta(seconds=FORGOTTEN_S)))
            rows = {row.who: row for row in session.scalars(known)}
            wait = max((wait_s(row.count, row.last, now) for row in rows.values()), default=0.0)
            if wait > 0:
                return wait
            for one in who:
                row = rows.get(one) or TriesRow(who=one, count=0)
                row.count, row.last = row.count + 1, now
                session.add(row)
            session.flush()
            newest = select(TriesRow.who).order_by(TriesRow.last.desc()).limit(WHO_KEPT)
            session.execute(delete(TriesRow).where(TriesRow.who.not_in(newest)))
        return 0.0

    def right(self, who: Sequence[str]) -> None:
        """Forget them. Raises BadState."""
        with self._store.write() as session:
            session.execute(delete(TriesRow).where(TriesRow.who.in_(who)))

    def half(self, who: Sequence[str]) -> None:
        """The password was right and a code is still to come: this one was no wrong try. Raises BadState."""
        with self._store.write() as session:
            for row in session.scalars(select(TriesRow).where(TriesRow.who.in_(who))):
                row.count -= 1


def by_address(address: str) -> str:
    """Who tries a password: counted so, nobody can lock somebody out by failing in their name."""
    return f"address {address[:LONGEST_ADDRESS]}"


def by_account(account: str) -> str:
    """Who sends codes: they have the password, so counting them locks nobody out who has not lost it."""
    return f"account {account}"
