"""Run the page: the office on the broker, the app in uvicorn, systemd told how it goes."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Final

import uvicorn

from admin_ui.page.app import create_app
from admin_ui.service import Office
from admin_ui.store import utc_now
from firmware_config.sdnotify import Notifier

log = logging.getLogger("latchkey.page")

GRACE_S: Final = 3.0
"""Seconds that open requests get at the end; a browser holds its event stream open for ever."""
BEAT_S: Final = 5.0
"""A third of the shortest watchdog that makes sense for a page."""
START_POLL_S: Final = 0.05


def serve(office: Office) -> int:
    """Serve until SIGTERM or SIGINT -> exit code. Raises BadState, and OSError-free: uvicorn says what is wrong with
    host and port itself, and the code is 1."""
    settings = office.settings.page
    # uvicorn catches the signal, stops, and raises it once more for the handler that was there before: this one, so
    # that the office is closed below instead of the process being killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # Before anything is started: a certificate that cannot be used is said at once.
    certificate = office.web_certificate
    if certificate is not None and (news := certificate.news(utc_now())):
        log.warning("%s", news)
    config = uvicorn.Config(
        create_app(office),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        server_header=False,
        ssl_certfile=certificate.certificate if certificate is not None else None,
        ssl_keyfile=certificate.key if certificate is not None else None,
        timeout_graceful_shutdown=int(GRACE_S),
    )
    server = uvicorn.Server(config)
    notifier = Notifier()
    office.start()
    try:
        asyncio.run(_run(server, notifier, office))
    except SystemExit:
        # uvicorn's way to say that it could not listen; it has logged why.
        return 1
    finally:
        notifier.stopping()
        office.stop()
    return 0 if server.started else 1


async def _run(server: uvicorn.Server, notifier: Notifier, office: Office) -> None:
    beat = asyncio.create_task(_beat(server, notifier, office))
    try:
        await server.serve()
    finally:
        beat.cancel()


async def _beat(server: uvicorn.Server, notifier: Notifier, office: Office) -> None:
    """In the loop that answers the browsers: when it hangs, the watchdog hears nothing."""
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(START_POLL_S)
    page = office.settings.page
    certificate = office.web_certificate
    print(f"The page is at {'http' if certificate is None else 'https'}://{page.host}:{page.port}", flush=True)
    if certificate is not None and certificate.own:
        print(f"Browsers warn of its certificate once. It is good for {', '.join(certificate.names)}.", flush=True)
    notifier.ready()
    while True:
        notifier.alive()
        notifier.status(office.link_sentence() or f"serving {office.site}, connected to the broker")
        await asyncio.sleep(min(BEAT_S, (notifier.watchdog_s or 3 * BEAT_S) / 3))
