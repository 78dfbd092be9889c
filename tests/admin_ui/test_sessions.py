"""Sessions: who is logged in, for how long, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from admin_ui.accounts import set_password
from admin_ui.models import ActRow, SessionRow
from admin_ui.page.login import Sessions
from admin_ui.sessions import SESSION_S, SessionBook
from admin_ui.store import Store, open_store, utc_now
from firmware_config.errors import BadInput
from tests.postgres import rows_of

KEY = b"a" * 32


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Iterator[Store]:
    opened = open_store(store_url, tmp_path)
    set_password(opened, "olga", "correct horse", by="test")
    yield opened
    opened.close()


@pytest.fixture
def book(store: Store) -> SessionBook:
    return SessionBook(store)


def grow_old(store: Store, seconds: float) -> None:
    with store.write() as session:
        session.execute(update(SessionRow).values(opened=utc_now() - timedelta(seconds=seconds)))


def test_forged_and_foreign_cookies_are_no_session(book: SessionBook) -> None:
    cookie = Sessions(KEY, book).open("olga", "10.0.0.5")
    assert Sessions(b"b" * 32, book).read(cookie) is None
    for forged in (cookie + "x", "", "x", cookie.partition(".")[0]):
        assert Sessions(KEY, book).read(forged) is None
    session = Sessions(KEY, book).read(cookie)
    assert session is not None
    assert session.account == "olga"


def test_a_session_is_over_after_a_working_day(book: SessionBook, store: Store) -> None:
    cookie = Sessions(KEY, book).open("olga", "here")
    grow_old(store, SESSION_S + 1)
    assert Sessions(KEY, SessionBook(store)).read(cookie) is None


def test_a_session_survives_a_restart_and_ends_in_every_process(book: SessionBook, store: Store) -> None:
    cookie = Sessions(KEY, book).open("olga", "here")
    other = SessionBook(store)
    assert Sessions(KEY, other).read(cookie) is not None
    Sessions(KEY, book).close(cookie)
    assert Sessions(KEY, book).read(cookie) is None
    other.forget()  # a second later, as it does by itself
    assert Sessions(KEY, other).read(cookie) is None


def test_a_new_password_ends_every_session(book: SessionBook, store: Store) -> None:
    token = book.open("olga", "here")
    set_password(store, "olga", "battery staple", by="test")
    book.forget()
    assert book.account(token) is None


def test_the_store_has_no_token_that_could_be_taken(
    book: SessionBook, store: Store, tmp_path: Path, store_url: str
) -> None:
    token = book.open("olga", "here")
    kept = rows_of(store_url) if store_url else b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert token.encode() not in kept


def test_logging_in_and_out_stand_in_the_record_and_old_sessions_are_swept(book: SessionBook, store: Store) -> None:
    book.open("olga", "here")
    grow_old(store, SESSION_S + 1)
    token = book.open("olga", "10.0.0.5")
    book.close(token)
    book.close(token)  # a second click is no second act
    with store.read() as session:
        acts = [(act.by, act.what, act.subject) for act in session.scalars(select(ActRow).order_by(ActRow.seq))]
        assert session.scalars(select(SessionRow)).all() == []
    assert acts[1:] == [("olga", "log_in", "here"), ("olga", "log_in", "10.0.0.5"), ("olga", "log_out", "olga")]


def test_nobody_without_an_account_gets_a_session(book: SessionBook) -> None:
    with pytest.raises(BadInput, match="no account 'eve'"):
        book.open("eve", "here")


def test_a_ticket_between_password_and_code_is_no_session(book: SessionBook) -> None:
    sessions = Sessions(KEY, book)
    ticket = sessions.ticket("olga")
    assert sessions.ticket_account(ticket) == "olga"
    assert sessions.read(ticket) is None
    assert sessions.ticket_account(sessions.open("olga", "here")) == ""
    assert sessions.ticket_account(ticket + "x") == ""
