"""Login: form, one-time code, signed session cookie. The office says whether a password is right."""

from __future__ import annotations

import html
import threading
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated, Final

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from admin_ui.service import Office
from admin_ui.sessions import SESSION_S, SessionBook
from admin_ui.store import utc_now
from admin_ui.tries import by_account, by_address
from firmware_config.errors import LatchkeyError

COOKIE: Final = "latchkey_session"
TICKET_S: Final = 300
"""Seconds between password and one-time code: time to find the telephone."""
HASHES_AT_ONCE: Final = 2
"""argon2 takes 64 MiB a check: strangers must not make the page take gigabytes."""

_PAGE: Final = Template((Path(__file__).parent / "login.html").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class LoginForm:
    """What the login page asks for. fields: HTML with `$name` where a value is filled in."""

    action: str
    greeting: str
    fields: Template


PASSWORD_FORM: Final = LoginForm(
    "/login",
    "Who may come in, and why. Log in to look after your doors.",
    Template(
        '<label for="account">Account</label>'
        '<input id="account" name="account" value="$account" autocomplete="username" autocapitalize="none" required '
        'autofocus><label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required>'
        '<button type="submit">Log in</button>'
    ),
)
CODE_FORM: Final = LoginForm(
    "/login/code",
    "Your account asks for a code besides the password.",
    Template(
        '<input type="hidden" name="ticket" value="$ticket"><label for="code">Code of your authenticator app</label>'
        '<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="12" required '
        'autofocus><button type="submit">Log in</button>'
        '<p class="lk-quiet">Lost the telephone? An administrator can switch the codes off.</p>'
    ),
)


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
    return _page(PASSWORD_FORM, sentence, status, account=account)


def code_page(ticket: str, sentence: str = "", status: int = 200) -> HTMLResponse:
    """The second form: the code of the authenticator app."""
    return _page(CODE_FORM, sentence, status, ticket=ticket)


def _page(form: LoginForm, sentence: str, status: int, **values: str) -> HTMLResponse:
    alert = f'<p class="lk-alert" role="alert">{html.escape(sentence)}</p>' if sentence else ""
    fields = form.fields.substitute({name: html.escape(value, quote=True) for name, value in values.items()})
    text = _PAGE.substitute(action=form.action, greeting=form.greeting, alert=alert, fields=fields)
    return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})


class Door:
    """What the login's two forms ask for, one after the other."""

    def __init__(self, office: Office, sessions: Sessions) -> None:
        self._office = office
        self._sessions = sessions
        self._tries = office.tries
        self._hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)

    def password(self, address: str, account: str, password: str) -> Response:
        account, who = account.strip(), [by_address(address)]
        try:
            wait = self._tries.begin(who, utc_now())
            if wait > 0:
                return _later(login_page(_too_many(wait), account, 429), wait)
            with self._hashing:
                right = self._office.check_password(account, password)
            if right and self._office.wants_code(account):
                self._tries.half(who)
                return code_page(self._sessions.ticket(account))
            if right:
                self._tries.right(who)
                return self._let_in(account, address)
        except LatchkeyError as error:
            return login_page(str(error), account, 503)
        sentence = (
            "That account and password do not go together. Check both; whoever runs this machine can set a "
            "new password with `latchkey-admin password`."
        )
        return login_page(sentence, account, 401)

    def code(self, address: str, ticket: str, code: str) -> Response:
        account = self._sessions.ticket_account(ticket)
        if not account:
            return login_page("That took too long. Type the password once more.", status=401)
        who = [by_address(address), by_account(account)]
        try:
            wait = self._tries.begin(who, utc_now())
            if wait > 0:
                return _later(code_page(ticket, _too_many(wait), 429), wait)
            if self._office.check_code(account, code):
                self._tries.right(who)
                return self._let_in(account, address)
        except LatchkeyError as error:
            return code_page(ticket, str(error), 503)
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
            secure=self._office.settings.page.secure_cookies or self._office.settings.page.https,
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
