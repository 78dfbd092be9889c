"""Login: form, throttle, one-time code, signed session cookie. The office says whether a password is right."""

from __future__ import annotations

import html
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated, Final

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from admin_ui.service import Office
from admin_ui.sessions import SESSION_S, SessionBook
from firmware_config.errors import LatchkeyError

COOKIE: Final = "latchkey_session"
TICKET_S: Final = 300
"""Seconds between password and one-time code: time to find the telephone."""
FREE_TRIES: Final = 5
"""Wrong passwords from one address before it has to wait: a person mistypes twice, seldom five times."""
LONGEST_WAIT_S: Final = 60.0
ADDRESSES_KEPT: Final = 4096
"""Addresses remembered at once; the oldest is forgotten, so that memory stays bounded."""
HASHES_AT_ONCE: Final = 2
"""argon2 takes 64 MiB a check: strangers must not make the page take gigabytes."""

_PAGE: Final = Template((Path(__file__).parent / "login.html").read_text(encoding="utf-8"))
_CODE_PAGE: Final = Template((Path(__file__).parent / "code.html").read_text(encoding="utf-8"))


class Throttle:
    """Makes guessing slow. Pure but for its lock; `now` is monotonic seconds, handed in.

    Rules:
    - counted by address, not by account: nobody can lock the manager out by failing in their name;
    - the first FREE_TRIES failures cost nothing, each further one doubles the wait, from 1 s to LONGEST_WAIT_S;
    - a try during the wait is refused unread and does not lengthen the wait;
    - a right password forgets the address.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        with self._lock:
            count, last = self._failures.get(address, (0, now))
        if count < FREE_TRIES:
            return 0.0
        pause = min(2.0 ** (count - FREE_TRIES), LONGEST_WAIT_S)
        return max(0.0, last + pause - now)

    def failed(self, address: str, now: float) -> None:
        with self._lock:
            count, _ = self._failures.pop(address, (0, now))
            self._failures[address] = (count + 1, now)
            while len(self._failures) > ADDRESSES_KEPT:
                self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        with self._lock:
            self._failures.pop(address, None)


@dataclass(frozen=True)
class Session:
    """Who a cookie says is there. `token` names this one login, so that logging out ends it everywhere."""

    account: str
    token: str


class Sessions:
    """Signed, expiring cookies around the store's sessions: what is not ours costs the store nothing."""

    def __init__(self, key: bytes, book: SessionBook) -> None:
        self._signer = URLSafeTimedSerializer(key, salt="latchkey-page-session-2")
        self._tickets = URLSafeTimedSerializer(key, salt="latchkey-page-ticket-1")
        self._book = book

    def open(self, account: str, came_from: str) -> str:
        """account -> the cookie's value. came_from: an address. Raises LatchkeyError."""
        return str(self._signer.dumps(self._book.open(account, came_from)))

    def read(self, cookie: str) -> Session | None:
        """None: no session, forged, expired, logged out, or of an account that is no more. Raises BadState."""
        token = _unsigned(self._signer, cookie, SESSION_S)
        account = self._book.account(token) if token else None
        return Session(account, token) if account is not None else None

    def close(self, cookie: str) -> None:
        token = _unsigned(self._signer, cookie, SESSION_S)
        if token:
            self._book.close(token)

    def ticket(self, account: str) -> str:
        """What says that this account's password was right a moment ago."""
        return str(self._tickets.dumps(account))

    def ticket_account(self, ticket: str) -> str:
        """ "" for a ticket that is none, or too old."""
        return _unsigned(self._tickets, ticket, TICKET_S)


def _unsigned(signer: URLSafeTimedSerializer, text: str, max_age: int) -> str:
    try:
        value = signer.loads(text, max_age=max_age)
    except BadSignature:
        return ""
    return value if isinstance(value, str) else ""


def login_page(sentence: str = "", account: str = "", status: int = 200) -> HTMLResponse:
    """The form, with what went wrong above it."""
    return _page(_PAGE, sentence, status, account=account)


def code_page(ticket: str, sentence: str = "", status: int = 200) -> HTMLResponse:
    """The second form: the code of the authenticator app."""
    return _page(_CODE_PAGE, sentence, status, ticket=ticket)


def _page(form: Template, sentence: str, status: int, **values: str) -> HTMLResponse:
    alert = f'<p class="lk-alert" role="alert">{html.escape(sentence)}</p>' if sentence else ""
    text = form.substitute(alert=alert, **{name: html.escape(value, quote=True) for name, value in values.items()})
    return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})


class Door:
    """What the login's two forms ask for, one after the other."""

    def __init__(self, office: Office, sessions: Sessions) -> None:
        self._office = office
        self._sessions = sessions
        self._by_address = Throttle()
        # Who sends codes has the password: counting them by account locks nobody out who has not lost it.
        self._by_account = Throttle()
        self._hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)

    def password(self, address: str, account: str, password: str) -> Response:
        account = account.strip()
        wait = self._by_address.wait_s(address, time.monotonic())
        if wait > 0:
            return _later(login_page(_too_many(wait), account, 429), wait)
        try:
            with self._hashing:
                right = self._office.check_password(account, password)
            if right and self._office.wants_code(account):
                return code_page(self._sessions.ticket(account))
            if right:
                self._by_address.succeeded(address)
                return self._let_in(account, address)
        except LatchkeyError as error:
            return login_page(str(error), account, 503)
        self._by_address.failed(address, time.monotonic())
        sentence = (
            "That account and password do not go together. Check both; whoever runs this machine can set a "
            "new password with `latchkey-admin password`."
        )
        return login_page(sentence, account, 401)

    def code(self, address: str, ticket: str, code: str) -> Response:
        account = self._sessions.ticket_account(ticket)
        if not account:
            return login_page("That took too long. Type the password once more.", status=401)
        now = time.monotonic()
        wait = max(self._by_address.wait_s(address, now), self._by_account.wait_s(account, now))
        if wait > 0:
            return _later(code_page(ticket, _too_many(wait), 429), wait)
        try:
            if self._office.check_code(account, code):
                self._by_address.succeeded(address)
                self._by_account.succeeded(account)
                return self._let_in(account, address)
        except LatchkeyError as error:
            return code_page(ticket, str(error), 503)
        self._by_address.failed(address, now)
        self._by_account.failed(account, now)
        sentence = "That is not the code of now, or it was used already. Type the one that the app shows next."
        return code_page(ticket, sentence, 401)

    def _let_in(self, account: str, address: str) -> Response:
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            COOKIE,
            self._sessions.open(account, address),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=self._office.settings.page.secure_cookies,
        )
        return answer


def _too_many(wait: float) -> str:
    return f"Too many wrong tries. Wait {wait:.0f} s, then try again."


def _later(page: HTMLResponse, wait: float) -> HTMLResponse:
    page.headers["Retry-After"] = str(int(wait) + 1)
    return page


def add_login(app: FastAPI, office: Office, sessions: Sessions) -> None:
    """Routes /login, /login/code and /logout."""
    door = Door(office, sessions)

    @app.get("/login", include_in_schema=False)
    def show() -> HTMLResponse:
        return login_page()

    @app.get("/login/code", include_in_schema=False)
    def reloaded() -> Response:
        return RedirectResponse("/login", status_code=303)

    @app.post("/login", include_in_schema=False)
    def login(
        request: Request, account: Annotated[str, Form()] = "", password: Annotated[str, Form()] = ""
    ) -> Response:
        return door.password(_address(request), account, password)

    @app.post("/login/code", include_in_schema=False)
    def code(request: Request, ticket: Annotated[str, Form()] = "", code: Annotated[str, Form()] = "") -> Response:
        return door.code(_address(request), ticket, code)

    @app.post("/logout", include_in_schema=False)
    def logout(request: Request) -> Response:
        sessions.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(COOKIE)
        return answer


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
