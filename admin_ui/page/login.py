"""Login: form, throttle, signed session cookie. The office says whether a password is right."""

from __future__ import annotations

import html
import secrets
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
from firmware_config.errors import LatchkeyError

COOKIE: Final = "latchkey_session"
SESSION_S: Final = 12 * 3600
"""Seconds: a working day. OWASP's session cheat sheet gives 4 to 8 hours for office use; a door's live view
stays open on a desk longer than that."""
FREE_TRIES: Final = 5
"""Wrong passwords from one address before it has to wait: a person mistypes twice, seldom five times."""
LONGEST_WAIT_S: Final = 60.0
ADDRESSES_KEPT: Final = 4096
"""Addresses remembered at once; the oldest is forgotten, so that memory stays bounded."""
HASHES_AT_ONCE: Final = 2
"""argon2 takes 64 MiB a check: strangers must not make the page take gigabytes."""

_PAGE: Final = Template((Path(__file__).parent / "login.html").read_text(encoding="utf-8"))


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
    """Signed, expiring cookies. Logged-out tokens are remembered until the page restarts or they expire."""

    def __init__(self, key: bytes) -> None:
        self._signer = URLSafeTimedSerializer(key, salt="latchkey-page-session-1")
        self._ended: OrderedDict[str, float] = OrderedDict()

    def open(self, account: str) -> str:
        """account -> the cookie's value."""
        return str(self._signer.dumps({"account": account, "token": secrets.token_urlsafe(16)}))

    def read(self, cookie: str) -> Session | None:
        """None: no session, forged, expired or logged out."""
        try:
            values = self._signer.loads(cookie, max_age=SESSION_S)
            session = Session(str(values["account"]), str(values["token"]))
        except (BadSignature, KeyError, TypeError):
            return None
        return None if session.token in self._ended else session

    def close(self, cookie: str) -> None:
        session = self.read(cookie)
        now = time.monotonic()
        while self._ended and next(iter(self._ended.values())) < now - SESSION_S:
            self._ended.popitem(last=False)
        if session is not None:
            self._ended[session.token] = now


def login_page(sentence: str = "", account: str = "", status: int = 200) -> HTMLResponse:
    """The form, with what went wrong above it."""
    alert = f'<p class="lk-alert" role="alert">{html.escape(sentence)}</p>' if sentence else ""
    text = _PAGE.substitute(alert=alert, account=html.escape(account, quote=True))
    return HTMLResponse(text, status_code=status, headers={"Cache-Control": "no-store"})


def add_login(app: FastAPI, office: Office, sessions: Sessions) -> None:
    """Routes /login and /logout."""
    throttle = Throttle()
    hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)

    @app.get("/login", include_in_schema=False)
    def show() -> HTMLResponse:
        return login_page()

    @app.post("/login", include_in_schema=False)
    def login(
        request: Request, account: Annotated[str, Form()] = "", password: Annotated[str, Form()] = ""
    ) -> Response:
        address = request.client.host if request.client else "unknown"
        wait = throttle.wait_s(address, time.monotonic())
        if wait > 0:
            page = login_page(f"Too many wrong tries. Wait {wait:.0f} s, then try again.", account, 429)
            page.headers["Retry-After"] = str(int(wait) + 1)
            return page
        try:
            with hashing:
                right = office.check_password(account, password)
        except LatchkeyError as error:
            return login_page(str(error), account, 503)
        if not right:
            throttle.failed(address, time.monotonic())
            sentence = (
                "That account and password do not go together. Check both; whoever runs this machine can set a "
                "new password with `latchkey-admin password`."
            )
            return login_page(sentence, account, 401)
        throttle.succeeded(address)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            COOKIE,
            sessions.open(account.strip()),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=office.settings.page.secure_cookies,
        )
        return answer

    @app.post("/logout", include_in_schema=False)
    def logout(request: Request) -> Response:
        sessions.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(COOKIE)
        return answer
