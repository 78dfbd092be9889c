"""What the webcam sees, while it looks: a small picture comes in, box, points and a sentence go out. None is kept."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from admin_ui.page.downloads import account_of
from admin_ui.roles import NotAllowed, seat
from admin_ui.service import Office
from admin_ui.views import Glance
from firmware_config.errors import LatchkeyError

MOST_BYTES: Final = 256 * 1024
"""A JPEG with a long side of 640 pixels has 30 to 90 kB."""
EVERY_S: Final = 0.15
"""Seconds between two pictures of one account: the page sends four a second, and two tabs may be open."""
AT_ONCE: Final = 2
"""Pictures that are looked at side by side, of all accounts: enrolling and the rest of the page must not wait."""
ACCOUNTS_KEPT: Final = 256


class Turnstile:
    """Lets so many through, each account seldom. Pure but for its lock; `now` is monotonic seconds, handed in.

    Rules:
    - one account passes once in EVERY_S;
    - at most AT_ONCE are inside; who comes then is sent away and not queued: the next picture is newer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._passed: OrderedDict[str, float] = OrderedDict()

    def enter(self, account: str, now: float) -> bool:
        """True: come in, and call leave() afterwards."""
        with self._lock:
            before = self._passed.get(account)
            if self._inside >= AT_ONCE or (before is not None and now - before < EVERY_S):
                return False
            self._inside += 1
            self._passed[account] = now
            self._passed.move_to_end(account)
            while len(self._passed) > ACCOUNTS_KEPT:
                self._passed.popitem(last=False)
            return True

    def leave(self) -> None:
        """Make room for the next."""
        with self._lock:
            self._inside -= 1


def add_glance(app: FastAPI, office: Office) -> None:
    """POST /glance?of=WIDTH with a JPEG as its body. of: pixels, the width of the video that it is a small picture of.

    -> width, height of what was looked at; box [x, y, width, height] or null; landmarks [[x, y]] of none or five; good;
    sentence. 400, 403, 413, 429 with `detail`, a sentence. The guard has refused strangers and other sites."""
    turnstile = Turnstile()

    @app.post("/glance", include_in_schema=False)
    async def glance(request: Request) -> JSONResponse:
        account = account_of(request)
        if not turnstile.enter(account, time.monotonic()):
            return _refused(429, "Pictures come too quickly. The next one is looked at again.", {"Retry-After": "1"})
        try:
            data = await _body(request)
            if data is None:
                return _refused(413, f"A picture of the webcam has at most {MOST_BYTES // 1024} kB here.")
            of = request.query_params.get("of", "")
            width = int(of) if of.isascii() and of.isdigit() and len(of) < 6 else 0
            found = await run_in_threadpool(lambda: seat(office, account).glance(data, width))
        except NotAllowed as error:
            return _refused(403, str(error))
        except LatchkeyError as error:
            return _refused(400, str(error))
        finally:
            turnstile.leave()
        return JSONResponse(_json(found), headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> bytes | None:
    """None: longer than MOST_BYTES; no more of it is read."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            return None
    return body


def _json(found: Glance) -> dict[str, Any]:
    return {
        "width": found.width,
        "height": found.height,
        "box": [round(float(value), 1) for value in found.box] if found.box is not None else None,
        "landmarks": [[round(float(value), 1) for value in point] for point in found.landmarks],
        "good": found.good,
        "sentence": found.sentence,
    }


def _refused(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status, headers)
