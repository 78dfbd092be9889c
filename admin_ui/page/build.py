"""Which endpoint of the page has which number: a tab that is older than the page would press another button."""

from __future__ import annotations

import hashlib
from typing import Final

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from admin_ui.page.blocks import Blocks

HEADER: Final = "x-latchkey-build"
"""Sent by away.js with whatever changes something; programs, which go by names, send none."""
OUTDATED: Final = "The page was renewed. Copy what you typed, then reload it. Nothing was changed."


def build_of(blocks: Blocks) -> str:
    """Equal for two processes whose endpoints have the same numbers, inputs and triggers."""
    numbered = [(number, one.name, len(one.inputs), one.targets) for number, one in blocks.fns.items()]
    return hashlib.sha256(repr(numbered).encode()).hexdigest()[:16]


class SameBuild:
    """ASGI middleware: refuses what a tab of another build sends, with 409 and OUTDATED."""

    def __init__(self, app: ASGIApp, build: str) -> None:
        self._app = app
        self._build = build

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = Headers(scope=scope).get(HEADER) if scope["type"] == "http" else None
        refusal = JSONResponse({"detail": OUTDATED}, 409) if known and known != self._build else None
        await (refusal or self._app)(scope, receive, send)


def add_build(app: FastAPI, blocks: Blocks) -> None:
    """The middleware, and /build for the browser to know."""
    build = build_of(blocks)
    app.add_middleware(SameBuild, build=build)

    @app.get("/build", include_in_schema=False)
    def tell() -> JSONResponse:
        return JSONResponse({"build": build}, headers={"Cache-Control": "no-store"})
