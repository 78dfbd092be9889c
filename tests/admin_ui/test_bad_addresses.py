"""Whatever stands in an address or a form that is no field of a tab: a sentence comes back, and nothing is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from admin_ui.accounts import set_password
from admin_ui.page.app import create_app
from admin_ui.page.events import FIELDS
from admin_ui.page.login import COOKIE, Sessions
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from tests.admin_ui.open_page import OpenPage

HOSTILE: Final[dict[str, str]] = {
    "empty": "",
    "number": "-5",
    "not a number": "nan",
    "way up": "../../etc/passwd",
    "right to left": "\u202egnp.exe",
    "long": "x" * 10_000,
    "null": "a\0b",
    "no UTF-8": "%ff%fe",
    "script": "<script>alert(1)</script>",
}
ASKED: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        ("/page.css", "/words.js", "/live.js", "/away.js", "/build", "/zh-CN.json", "/key.svg", "/healthz", "/metrics"),
        (),
    ),
    **dict.fromkeys(("/portrait/{person_id}.png", "/person/{person_id}.json", "/pairing/{door}.zip", "/batch.csv"), ()),
    "/events.csv": tuple(FIELDS),
    "/glance": ("of",),
    "/login": ("account", "password"),
    "/login/code": ("ticket", "code"),
    "/logout": (),
}
"""Each address that the page has of its own -> what it reads besides."""


@pytest.fixture
def store_url() -> str:
    """SQLite: what a browser sends does not depend on the store."""
    return ""


@pytest.fixture
def app(office: Office, ada: str) -> FastAPI:
    set_password(office.store, "admin", "correct horse battery", "test", AccountRole.ADMINISTRATOR)
    return create_app(office)


@pytest.fixture
def browser(app: FastAPI, office: Office) -> Iterator[TestClient]:
    """Logged in as an administrator."""
    cookie = Sessions(office.session_key(), office.sessions).open("admin", "here")
    with TestClient(app, cookies={COOKIE: cookie}, raise_server_exceptions=False) as client:
        yield client


def own_routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]


def kept(office: Office) -> object:
    """Everything that the store holds, but for who is logged in or tried to be, and that somebody downloaded."""
    with sqlite3.connect(office.settings.state / "store.db") as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        left_out = ("sessions", "tries", "acts")
        rows = [store.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables if name not in left_out]
    store.close()
    return rows


def test_every_address_of_the_page_is_tried_below(app: FastAPI) -> None:
    assert {route.path for route in own_routes(app)} == set(ASKED)


@pytest.mark.slow
@pytest.mark.parametrize("what", HOSTILE)
def test_whatever_an_address_holds_is_answered_with_a_sentence(
    app: FastAPI, browser: TestClient, office: Office, what: str
) -> None:
    value = HOSTILE[what]
    word = value if what == "no UTF-8" else quote(value, safe="")
    before = kept(office)
    wrong: list[str] = []
    for route in own_routes(app):
        if route.path == "/logout":
            continue  # it reads nothing, and would end this session
        path = "".join(word if at % 2 else part for at, part in enumerate(_parted(route.path)))
        for method in sorted(route.methods & {"GET", "POST"}):
            sent: dict[str, Any] = {"data" if method == "POST" else "params": dict.fromkeys(ASKED[route.path], value)}
            if route.path == "/glance":
                sent = {"params": {"of": value}, "content": value.encode("utf-8", "replace")}
            answer = browser.request(method, path, **sent, follow_redirects=False)
            told = answer.json().get("detail") if answer.headers.get("content-type") == "application/json" else None
            if answer.status_code >= 500 and route.path != "/healthz":
                wrong.append(f"{method} {route.path}: {answer.status_code} {answer.text[:200]}")
            if answer.status_code >= 400 and isinstance(told, str) and not told.endswith((".", "Not Found")):
                wrong.append(f"{method} {route.path}: no sentence: {told[:200]}")
            if answer.status_code >= 400 and told is not None and not isinstance(told, str):
                wrong.append(f"{method} {route.path}: not told in words: {told}")
            if "<script>alert" in answer.text and "html" in answer.headers.get("content-type", ""):
                wrong.append(f"{method} {route.path}: markup comes back")
    assert wrong == []
    assert kept(office) == before


def test_whose_session_is_over_is_told_so_by_every_endpoint(app: FastAPI, office: Office) -> None:
    before = kept(office)
    with TestClient(app) as stranger:
        for deed in OpenPage(app).deeds():
            asked = {"data": [""] * len(deed.fields), "fn_index": deed.number, "session_hash": "over"}
            for address in ("queue/join", "run/predict"):
                answer = stranger.post(f"/gradio_api/{address}", json=asked)
                assert (answer.status_code, answer.json()) == (401, {"detail": "Your session is over. Log in again."})
    assert kept(office) == before


def _parted(path: str) -> list[str]:
    """Text and names of gaps by turns."""
    parts: list[str] = []
    for piece in path.split("{"):
        parts += piece.split("}") if "}" in piece else [piece]
    # "{id}.png" -> before, name, after
    return parts
