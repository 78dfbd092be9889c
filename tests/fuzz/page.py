"""Target that posts to the page as a browser does: login form, uploads, and the endpoints for programs.

Input: a line `WHAT CONTENT-TYPE`, then the body of the request. WHAT is one of ROUTES; a damaged one still finds one.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import SimpleNamespace
from unittest import mock

from admin_ui.keyring import Keyring
from admin_ui.service import Office
from firmware_config.settings import AdminSettings
from tests.fuzz.files import photos
from tests.fuzz.target import Eat, Target
from tests.fuzz.wires import NOWHERE
from tests.makers import encoder_id, toy_bundle

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
PARTS = "multipart/form-data; boundary=xyz"
UPLOADED = "a.jpg"
"""In the body of an endpoint's request it stands for a photo that was uploaded just before."""
ROUTES = {
    "login": "/login",
    "upload": "/gradio_api/upload",
    "examine": "/gradio_api/run/examine",
    "enrol": "/gradio_api/run/enrol",
    "door_state": "/gradio_api/run/door_state",
    "events": "/gradio_api/run/events",
    "set_tau": "/gradio_api/run/set_tau",
    "remove": "/gradio_api/run/remove",
}


def seeds() -> list[bytes]:
    """As a browser and gradio_client send them."""
    part = (
        b'--xyz\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    uploads = [f"upload {PARTS}\n".encode() + part + photo + b"\r\n--xyz--\r\n" for photo in photos()[:3]]
    calls = {
        "examine": b'{"data": [{"path": "a.jpg", "meta": {"_type": "gradio.FileData"}}]}',
        "enrol": b'{"data": ["Ada", {"path": "a.jpg", "meta": {"_type": "gradio.FileData"}}, ["front"], false]}',
        "door_state": b'{"data": ["front"]}',
        "events": b'{"data": ["front", 5]}',
        "set_tau": b'{"data": ["front", 0.9]}',
        "remove": b'{"data": ["p1"]}',
    }
    logins = [f"login {FORM}\naccount=admin&password=correct+horse".encode()]
    return [*uploads, *(f"{what} {JSON}\n".encode() + body for what, body in calls.items()), *logins]


@contextmanager
def _gradios_errors() -> Iterator[list[BaseException]]:
    """What an endpoint of ours has raised, which Gradio would print and answer with 500. Gradio's own refusals of a
    request that does not fit (the number of values, a path that is no upload) do not come through our code."""
    caught: list[BaseException] = []

    def note() -> None:
        error = sys.exc_info()[1]
        if error is not None and any("admin_ui" in frame.filename for frame in extract_tb(error.__traceback__)):
            caught.append(error)

    with mock.patch("gradio.routes.traceback.print_exc", note):
        yield caught


@contextmanager
def page(folder: Path) -> Iterator[Eat]:
    """The whole application in this process, with the session of somebody who has logged in."""
    from starlette.testclient import TestClient

    from admin_ui.page.app import create_app
    from admin_ui.page.login import COOKIE, Sessions

    settings = AdminSettings(site="office", state=folder / "state", broker=NOWHERE)
    bundle = folder / "toy.latchkey"
    bundle.write_bytes(toy_bundle("1.0.0", 1, Keyring.make(settings.state).site))
    eyes = SimpleNamespace(encoder_id=encoder_id(1), faces=lambda *_: [])
    office = Office(settings, default_bundle=bundle, make_eyes=lambda *_models: eyes)  # type: ignore[arg-type, return-value]
    try:
        office.add_door("front", "test")
        photo, uploads = photos()[0], settings.state / "uploads"
        office.check_password = lambda account, password: False  # type: ignore[method-assign] # argon2 takes 50 ms
        office.add_account("admin", "administrator", "test")
        cookie = Sessions(office.session_key(), office.sessions).open("admin", "here")
        with (
            _gradios_errors() as caught,
            TestClient(create_app(office), cookies={COOKIE: cookie}, raise_server_exceptions=True) as client,
        ):

            def eat(data: bytes) -> None:
                # What an hour uploads would fill the disk; a real page sweeps after a quarter of one.
                for old in uploads.iterdir():
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
                (uploads / UPLOADED).write_bytes(photo)
                head, _, body = data.partition(b"\n")
                what, _, kind = head.decode("latin-1").partition(" ")
                path = ROUTES.get(what) or list(ROUTES.values())[sum(head) % len(ROUTES)]
                kind = "".join(letter for letter in kind if " " <= letter <= "~")
                if path != ROUTES["upload"]:
                    body = body.replace(UPLOADED.encode(), str(uploads / UPLOADED).encode())
                client.post(path, content=body, headers={"Content-Type": kind}, follow_redirects=False)
                for error in caught:
                    caught.clear()
                    raise error

            yield eat
    finally:
        office.stop()


TARGETS: Sequence[Target] = (Target("page", seeds, page, 200),)
