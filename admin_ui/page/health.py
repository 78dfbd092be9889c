"""/healthz for whoever keeps the page running, /metrics for Prometheus."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from admin_ui.service import Office
from admin_ui.views import DoorView
from firmware_config.errors import LatchkeyError

PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
LOCKS: Final = ("LOCKED", "UNLOCKED", "JAMMED")


def add_health(app: FastAPI, office: Office) -> None:
    """Both are served without a login; /metrics asks for the token that `latchkey-admin metrics-token` shows, or for a
    session."""

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> JSONResponse:
        """200 while the store answers: what a restart might mend. A broker that is down is said and is no failure."""
        try:
            office.doors()
        except LatchkeyError as error:
            return JSONResponse({"ok": False, "sentence": str(error)}, status_code=503)
        return JSONResponse({"ok": True, "broker": office.link.connected})

    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("utf-8", "replace")
        known = hmac.compare_digest(given, f"Bearer {office.metrics_token()}".encode())
        if not known and request.scope.get("state", {}).get("account") is None:
            return PlainTextResponse("Give the token of `latchkey-admin metrics-token` as Bearer.\n", status_code=401)
        try:
            text = exposition(office.doors(), office.counts(), connected=office.link.connected)
        except LatchkeyError as error:
            return PlainTextResponse(f"{error}\n", status_code=503)
        return PlainTextResponse(text, media_type=PROMETHEUS)


def exposition(doors: Iterable[DoorView], counts: dict[str, int], *, connected: bool) -> str:
    """Prometheus's text format 0.0.4. Door names are [a-z0-9_-], so no label needs an escape. Nobody is named."""
    doors = list(doors)
    lines = [*_family("latchkey_broker_connected", "gauge", "1 while the page is connected.", [("", int(connected))])]
    for name, value in counts.items():
        lines += _family(f"latchkey_{name}", "gauge", f"How many {name} the store has.", [("", value)])
    lines += _family("latchkey_door_online", "gauge", "1 while the door is.", _each(doors, lambda d: int(d.online)))
    lines += _family("latchkey_door_in_step", "gauge", "1: newest list.", _each(doors, lambda d: int(d.in_step)))
    lines += _family("latchkey_door_problems", "gauge", "Told by the door.", _each(doors, lambda d: len(d.problems)))
    lines += _family("latchkey_door_people", "gauge", "Who may use it.", _each(doors, lambda d: d.people))
    lines += _family("latchkey_door_tau", "gauge", "Its threshold, a distance.", _each(doors, lambda d: d.tau))
    states = [(f'{{door="{d.name}",state="{s.lower()}"}}', int(d.lock == s)) for d in doors for s in LOCKS]
    lines += _family("latchkey_door_lock", "gauge", "1 for the state of now.", states)
    live = [(d.name, d.health) for d in doors if d.health is not None and d.online]
    lines += _family("latchkey_door_fps", "gauge", "Frames a second.", [(f'{{door="{n}"}}', h.fps) for n, h in live])
    heat = [(f'{{door="{n}"}}', h.temperature_c) for n, h in live if h.temperature_c is not None]
    lines += _family("latchkey_door_temperature_celsius", "gauge", "Of its board.", heat)
    stages = [
        (f'{{door="{n}",stage="{stage}"}}', ms / 1000)
        for n, h in live
        for stage, ms in sorted(h.stage_ms.items())
        if stage.replace("_", "").isalnum()
    ]
    lines += _family("latchkey_door_stage_seconds", "gauge", "Mean time of a stage.", stages)
    return "\n".join(lines) + "\n"


def _each(doors: Iterable[DoorView], value: Callable[[DoorView], float]) -> list[tuple[str, float]]:
    return [(f'{{door="{door.name}"}}', value(door)) for door in doors]


def _family(name: str, kind: str, words: str, samples: Iterable[tuple[str, float]]) -> list[str]:
    rows = [f"{name}{labels} {value:g}" for labels, value in samples]
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}", *rows] if rows else []
