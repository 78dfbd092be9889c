"""What every request passes first: is there a session, does the browser mean it, and which headers go out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_ui.page.login import COOKIE, Session
from firmware_config.errors import LatchkeyError

OPEN_PATHS: Final = frozenset(
    {"/login", "/login/code", "/healthz", "/metrics", "/page.css", "/key.svg", "/words.js", "/zh-CN.json"}
)
"""All that is served without a session."""
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})

OPEN_BODY_BYTES: Final = 64 * 1024
"""What a stranger may send: a login form has 100 bytes, and what reads it keeps all of it in memory."""

HEADERS: Final = {
    # Gradio's page has inline scripts ('unsafe-inline') and its HTML component compiles a template in the browser
    # ('unsafe-eval'; without it every HTML on the page stays empty, tried with 6.31). So this policy keeps the
    # outside out and nobody in: what people typed is escaped before it becomes HTML (markup.py).
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around page and Gradio alike.

    Rules:
    - without a session only OPEN_PATHS are served; a browser is sent to /login, a program gets 401;
    - without one a body of OPEN_BODY_BYTES is read at most;
    - a request that changes something and comes from another site is refused, whatever cookie it carries;
    - every answer carries HEADERS.
    """

    def __init__(self, app: ASGIApp, read_session: Callable[[str], Session | None]) -> None:
        self._app = app
        self._read_session = read_session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Nothing here speaks WebSocket; an unguarded door is not left open for it.
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = await self._refusal(scope)
        if refusal is None and scope["state"]["account"] is None and scope["method"] not in READING:
            body = await _short_body(receive)
            if body is None:
                sentence = f"At most {OPEN_BODY_BYTES // 1024} kB are read before you have logged in."
                refusal = JSONResponse({"detail": sentence}, status_code=413)
            else:
                receive = _replayed(body, receive)
        await (refusal or self._app)(scope, receive, send_guarded)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in READING and not same_origin(headers):
            sentence = "This request came from another site and is refused. Open the page itself and try again."
            return JSONResponse({"detail": sentence}, status_code=403)
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        try:
            # The store may be a server that is slow: nobody else has to wait for it.
            session = await run_in_threadpool(self._read_session, cookie)
        except LatchkeyError as error:
            scope.setdefault("state", {})["account"] = None
            return JSONResponse({"detail": str(error)}, status_code=503)
        scope.setdefault("state", {}).update(
            account=session.account if session else None, token=session.token if session else ""
        )
        if session is not None or scope["path"] in OPEN_PATHS:
            return None
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse("/login", status_code=303)
        return JSONResponse({"detail": "Your session is over. Log in again."}, status_code=401)


async def _short_body(receive: Receive) -> bytes | None:
    """None: it is longer than OPEN_BODY_BYTES, or breaks off."""
    body = b""
    while True:
        message = await receive()
        piece: bytes = message.get("body", b"")
        body += piece
        if message["type"] != "http.request" or len(body) > OPEN_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def same_origin(headers: Headers) -> bool:
    """True for our own page and for programs, which send neither header (their cookie was given to them alone)."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host", "")
