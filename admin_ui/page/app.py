"""The page as one FastAPI application: login, guard, one Gradio tab a file, and named endpoints for programs.

A program posts `account` and `password` to /login, keeps the cookie `latchkey_session`, and talks through
`gradio_client.Client(url, headers={"Cookie": "latchkey_session=..."})`. Photos go through `handle_file`. Every
endpoint answers one JSON object: `ok` true and what is named here, or `ok` false, `error` (class of the fault)
and `sentence` (what is wrong and what to do; nothing was changed).

    /examine(photo)                                -> good, sentences, values
    /enrol(name, photo, doors, confirm_duplicate=False, consent=False)
                                                   -> sentence, person {id, name, doors, created},
                                                      news [{door, generation, sent, sentence}]
    /people()                                      -> people [person]
    /remove(person_id)                             -> sentence, news
    /doors()                                       -> doors [door]
    /door_state(door)                              -> door: DoorView as JSON with in_step and health (stage_ms, ...)
    /wait_applied(door, generation, timeout_s=10)  -> door, as soon as it runs that generation, or time is over
    /events(door="", limit=50)                     -> events, newest first: id, door, at, outcome, reason, sentence,
                                                      person, distance, runner_up, by, scene, stage_ms
                                                      {..., frame_to_unlock}
    /set_tau(door, tau)                            -> sentence, news
    /unlock(door, why="")                          -> unlocked, reason, sentence

`doors` of /enrol: names; an empty list means all. An account whose role does not include something is told so:
`error` NotAllowed (roles.py has which role may what).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

# Before gradio is imported: it reads these once. No outside request, whatever a user's environment says.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.routing import Mount

from admin_ui.backup import UPLOADS
from admin_ui.page import markup
from admin_ui.page.accounts import accounts_tab
from admin_ui.page.api import account_of, add_endpoints
from admin_ui.page.blocks import QUIET, UNREAD, Blocks
from admin_ui.page.build import add_build
from admin_ui.page.door import door_tab
from admin_ui.page.door_lists import add_door_lists
from admin_ui.page.downloads import add_downloads
from admin_ui.page.enrol import enrol_tab
from admin_ui.page.events import events_tab
from admin_ui.page.glance import add_glance
from admin_ui.page.guard import Guard
from admin_ui.page.health import add_health
from admin_ui.page.login import Sessions, add_login
from admin_ui.page.models import models_tab
from admin_ui.page.people import people_tab
from admin_ui.page.photo import MAX_UPLOAD_BYTES, UPLOAD_AGE_S
from admin_ui.page.theme import HEAD, THEME, html
from admin_ui.page.threshold import threshold_tab
from admin_ui.roles import AccountRole
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

HERE: Final = Path(__file__).parent
CALLS_AT_ONCE: Final = 16
"""Calls of one kind that run side by side: a few desks, each waiting ten seconds at most for its door."""
LEFT_S: Final = 86_400
UPLOAD_SWEEP_S: Final = 300
"""Seconds between two looks for photos that are older than UPLOAD_AGE_S."""


def create_app(office: Office) -> FastAPI:
    """The whole page around a started or unstarted office. Raises BadState, OSError."""
    # Where no loop runs, Gradio makes one for each of its locks and never closes it: two sockets and an epoll each.
    # On a thread of its own, for whoever calls may have a loop that runs.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="page") as apart:
        return apart.submit(asyncio.run, _made_in_a_loop(office)).result()


async def _made_in_a_loop(office: Office) -> FastAPI:
    # By its port: another process of this page may have photos of its own here.
    parent = office.settings.state / UPLOADS
    uploads = parent / str(office.settings.page.port)
    # Whatever a crash left: a photo serves one enrolment and is not kept.
    for left in (uploads, *_older(parent)):
        shutil.rmtree(left, ignore_errors=True)
    uploads.mkdir(parents=True, mode=0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)

    # Gradio serves nothing but what was uploaded; that keys and store are no exception is said once more here.
    kept = [str(path) for path in office.settings.state.iterdir() if path != parent]

    sessions = Sessions(office.session_key(), office.sessions)
    app = FastAPI(title="Latchkey", docs_url=None, redoc_url=None, openapi_url=None)
    blocks = _blocks(office, uploads)
    add_build(app, blocks)
    # The last is the outermost.
    app.add_middleware(Guard, read_session=sessions.read)
    add_login(app, office, sessions)
    _add_files(app)
    add_health(app, office)
    add_downloads(app, office)
    add_glance(app, office)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        server_name=office.settings.page.host,
        server_port=office.settings.page.port,
        auth_dependency=_account,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        show_error=True,
        max_file_size=MAX_UPLOAD_BYTES,
        blocked_paths=kept,
        theme=THEME,
        head=HEAD,
    )
    _answer_briefly(mounted)
    return mounted


def _older(parent: Path) -> list[Path]:
    """What processes left that are no more: nothing lives here for as long as a day."""
    return [path for path in parent.glob("*") if time.time() - path.stat().st_mtime > LEFT_S]


def _answer_briefly(app: FastAPI) -> None:
    """A request that does not read gets a sentence. FastAPI would repeat its body, and fail on what is no JSON."""

    def unread(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse({"detail": UNREAD}, 422)

    app.add_exception_handler(RequestValidationError, unread)
    for route in app.routes:
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):
            # What Gradio 6.31 raises of its own for an upload that is no file and a function that is not there. What
            # our endpoints raise it catches itself, so no defect of ours is hidden here.
            for error in (RequestValidationError, TypeError, KeyError):
                route.app.add_exception_handler(error, unread)


def _account(request: Request) -> str | None:
    account = request.scope.get("state", {}).get("account")
    return account if isinstance(account, str) else None


def _add_files(app: FastAPI) -> None:
    @app.get("/page.css", include_in_schema=False)
    def css() -> FileResponse:
        return FileResponse(HERE / "page.css", media_type="text/css", headers={"Cache-Control": "no-cache"})

    @app.get("/words.js", include_in_schema=False)
    def words() -> FileResponse:
        return FileResponse(HERE / "words.js", media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    @app.get("/live.js", include_in_schema=False)
    def live() -> FileResponse:
        return FileResponse(HERE / "live.js", media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    @app.get("/away.js", include_in_schema=False)
    def away() -> FileResponse:
        return FileResponse(HERE / "away.js", media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    @app.get("/zh-CN.json", include_in_schema=False)
    def chinese() -> FileResponse:
        return FileResponse(HERE / "zh-CN.json", media_type="application/json", headers={"Cache-Control": "no-cache"})

    @app.get("/key.svg", include_in_schema=False)
    def key() -> FileResponse:
        return FileResponse(HERE / "key.svg", media_type="image/svg+xml")

    @app.exception_handler(LatchkeyError)
    def refused(_request: Request, error: LatchkeyError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503)


def _blocks(office: Office, uploads: Path) -> Any:
    with Blocks(
        title="Latchkey", analytics_enabled=False, fill_width=True, delete_cache=(UPLOAD_SWEEP_S, UPLOAD_AGE_S)
    ) as blocks:
        # First, so that no button's function of the same name takes an endpoint's name.
        add_endpoints(office, uploads)
        top = html(elem_id="lk-header")
        with gr.Tabs(elem_id="lk-tabs") as tabs:
            with gr.Tab("People", id="people") as people_page:
                people = people_tab(office, uploads, people_page)
            # What a role may not do is refused by the office; the style sheet hides what would only promise it.
            with gr.Tab("Enrol", id="enrol"):
                enrol = enrol_tab(office, uploads)
            with gr.Tab("Doors", id="door") as door_page:
                *door, door_timer = door_tab(office, door_page)
            with gr.Tab("Events", id="events") as events_page:
                *events, events_timer = events_tab(office, events_page)
            with gr.Tab("Threshold", id="threshold") as threshold_page:
                threshold = threshold_tab(office, threshold_page)
            with gr.Tab("Models", id="models"):
                models = models_tab(office, uploads)
            with gr.Tab("Accounts", id="accounts"):
                accounts = accounts_tab(office)

        def watch(chosen: gr.EventData) -> tuple[Any, Any]:
            # Nobody is told every second what nobody looks at.
            shown = getattr(chosen, "value", "")
            return gr.Timer(active=shown == "Doors"), gr.Timer(active=shown == "Events")

        def greet(request: gr.Request) -> str:
            account = account_of(request)
            role = office.role_of(account) or AccountRole.VIEWER
            return markup.header(office.site, account, role.value)

        add_door_lists(blocks, office, tabs)
        tabs.select(watch, None, [door_timer, events_timer], queue=False, **QUIET)
        blocks.load(greet, None, top, **QUIET)
        for outputs, fill in (people, *enrol, door, events, threshold, models, accounts):
            blocks.load(fill, None, outputs, **QUIET)
    blocks.queue(default_concurrency_limit=CALLS_AT_ONCE, max_size=256)
    return blocks
