"""What a stranger may make the page read, and what a program may hand to its endpoints."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from admin_ui import given
from admin_ui.page.build import HEADER, OUTDATED, SameBuild
from admin_ui.page.guard import OPEN_BODY_BYTES, Guard
from admin_ui.page.login import Session
from firmware_config.errors import BadInput


async def counting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of what it was sent."""
    length = 0
    while True:
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await PlainTextResponse(str(length))(scope, receive, send)


def test_a_stranger_is_read_for_64_kb_and_no_further() -> None:
    stranger = TestClient(Guard(counting, lambda _cookie: None))
    assert stranger.post("/login", content=bytes(OPEN_BODY_BYTES)).text == str(OPEN_BODY_BYTES)
    refused = stranger.post("/login", content=bytes(OPEN_BODY_BYTES + 1))
    assert (refused.status_code, "64 kB" in refused.text) == (413, True)
    assert stranger.post("/login", content=(bytes(1024) for _ in range(100))).status_code == 413


def test_a_tab_of_another_build_is_told_to_reload_and_a_program_goes_by_names() -> None:
    client = TestClient(SameBuild(counting, "b1"))
    refused = client.post("/queue/join", headers={HEADER: "b0"})
    assert (refused.status_code, refused.json()) == (409, {"detail": OUTDATED})
    assert client.post("/queue/join", headers={HEADER: "b1"}).status_code == 200
    assert client.post("/queue/join").status_code == 200


def test_who_has_logged_in_may_send_a_photo() -> None:
    client = TestClient(Guard(counting, lambda _cookie: Session("admin", "x")))
    assert client.post("/upload", content=bytes(2**20)).text == str(2**20)


@pytest.mark.parametrize(
    ("take", "value"),
    [
        *((given.text, value) for value in (None, 5, ["a"], "a\0b", "\ud800", "x" * 20_000)),
        *((given.texts, value) for value in ("front", {"a": 1}, [1], [None], ["\ud800"])),
        *((given.number, value) for value in (None, True, "5", [], float("nan"), float("inf"), 10**400)),
        *((given.count, value) for value in (None, "5", float("nan"), -(10**30))),
    ],
)
def test_any_json_that_is_not_what_it_should_be_gets_a_sentence(
    take: Callable[[object, str], object], value: object
) -> None:
    with pytest.raises(BadInput, match="limit"):
        take(value, "limit")


def test_what_is_as_it_should_be_is_taken() -> None:
    assert given.text("Zoë", "name") == "Zoë"
    assert given.texts(None, "doors") == []
    assert given.texts(["front"], "doors") == ["front"]
    assert (given.number(0.5, "tau"), given.count(7.9, "limit")) == (0.5, 7)
