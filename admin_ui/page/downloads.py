"""Files that a browser fetches by their address: tables, portraits, one person's data. Rights are the office's."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response

from admin_ui.batch import result_table
from admin_ui.page.events import query_of
from admin_ui.roles import NotAllowed, seat
from admin_ui.service import Office
from firmware_config.errors import LatchkeyError

CSV = "text/csv; charset=utf-8"


def add_downloads(app: FastAPI, office: Office) -> None:
    """/portrait/ID.png, /batch.csv, /events.csv, /person/ID.json and /pairing/DOOR.zip."""

    @app.get("/portrait/{person_id}.png", include_in_schema=False)
    def portrait(person_id: str, request: Request) -> Response:
        try:
            png = seat(office, account_of(request)).portrait(person_id)
        except NotAllowed as error:
            raise HTTPException(403, str(error)) from error
        except LatchkeyError as error:
            raise HTTPException(404, str(error)) from error
        return Response(png, media_type="image/png", headers={"Cache-Control": "private, no-store"})

    @app.get("/batch.csv", include_in_schema=False)
    def batch(request: Request) -> Response:
        account = account_of(request)
        waits = _told(lambda: seat(office, account).waiting_batch(account))
        if waits is None:
            raise HTTPException(404, "There is no batch of yours (any more).")
        return _file(result_table(waits.rows), "latchkey-batch.csv", CSV)

    @app.get("/events.csv", include_in_schema=False)
    def events(request: Request) -> Response:
        account = account_of(request)
        asked = dict(request.query_params)
        table = _told(lambda: seat(office, account).export_events(query_of(asked), account))
        return _file(table, "latchkey-events.csv", CSV)

    @app.post("/pairing/{door}.zip", include_in_schema=False)
    def pairing(door: str, request: Request) -> Response:
        # A post, for it can be done once only: nothing that prefetches addresses may take it.
        account = account_of(request)
        data = _told(lambda: seat(office, account).fetch_pairing(door, account))
        return _file(data, f"latchkey-{door}.zip", "application/zip")

    @app.get("/person/{person_id}.json", include_in_schema=False)
    def person(person_id: str, request: Request) -> Response:
        account = account_of(request)
        papers = _told(lambda: seat(office, account).export_person(person_id, account))
        return _file(papers, "latchkey-person.json", "application/json")


def account_of(request: Request) -> str:
    """The account that asks. The guard let nobody in without one."""
    account = request.scope.get("state", {}).get("account")
    return account if isinstance(account, str) else ""


def _told(work: Any) -> Any:
    """What it gives; a refusal becomes a sentence with the status that fits."""
    try:
        return work()
    except NotAllowed as error:
        raise HTTPException(403, str(error)) from error
    except LatchkeyError as error:
        raise HTTPException(400, str(error)) from error


def _file(data: bytes, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(data, media_type=kind, headers=headers)
