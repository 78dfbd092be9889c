"""Publishes each door's newest list, once, and before it the bundle where the door runs another encoder.

Once for as long as the broker keeps it and this process is the one that publishes: what a request has saved, the watch,
a door that reports and a connection that is back all find the same list to be sent, at about the same time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import defer

from admin_ui.ahead import model_of
from admin_ui.lease import Lease
from admin_ui.link import PageLink
from admin_ui.models import DoorRow
from admin_ui.store import Store, find_door
from admin_ui.views import DoorNews
from firmware_config.errors import LatchkeyError

log = logging.getLogger("latchkey.page.publisher")

T = TypeVar("T", int, str)

WATCH_S: Final = 0.5
"""Seconds between two looks for what another process has saved: half of what a door may take to run it."""


class Publisher:
    """One process of the page publishes at a time; the others leave it to that one. Safe to use from any thread."""

    def __init__(self, link: PageLink, store: Store, model_file: Callable[[str], bytes], lease: Lease) -> None:
        """model_file: encoder_id -> the site-signed file of its bundle."""
        self._link = link
        self._store = store
        self._model_file = model_file
        self._lease = lease
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="page-publisher", daemon=True)
        # Two changes at once must not be published in the wrong order: the retained list has to be the newest.
        self._sending = threading.Lock()
        # What follows is read and written under it.
        self._term: int | None = None
        """The connection in which this process publishes; None: it does not."""
        self._lists: dict[str, tuple[datetime, int]] = {}
        """Door -> the list that was sent in this term. A door that was revoked and made anew begins at list 1 again."""
        self._models: dict[str, tuple[datetime, str]] = {}
        """Door -> since when there is one of that name, and the encoder whose bundle was the last one sent."""
        self._before: dict[str, int] = {}
        """Door -> the number of its latest report when it was last sent something."""

    def start(self) -> None:
        """Begin to publish for others where this is the process that does."""
        self._watcher.start()

    def stop(self) -> None:
        """Let another process publish, as soon as nothing is sent by this one."""
        self._ended.set()
        if self._watcher.is_alive():
            self._watcher.join()
        with self._sending:
            self._leave()

    def report(self, door: str) -> int:
        """The number of the door's latest report when it was last sent something; any larger one is of after that."""
        return self._before.get(door, 0)

    def send(self, doors: Iterable[str], *, model: bool = False) -> tuple[DoorNews, ...]:
        """Publish each door's newest list, and before it the bundle of its encoder where `model` says so: that even if
        it was sent before and the door has said something since, for one that could not take it asks for nothing."""
        return tuple(self._send(door, model) for door in doors)

    def bring_up(self, door: str) -> None:
        """Send a door what it does not run and has not been sent. Raises BadInput where there is none."""
        with self._sending:
            if not self._publishes():
                return
            row, encoder_id = self._read(door)
            model = self._model_due(row, encoder_id)
            if model or self._list_due(row):
                log.info("%s runs list %d of %d; sending.", door, _applied(row, "generation", 0), row.generation)
                self._publish(row, encoder_id if model else "")

    def catch_up(self) -> None:
        """bring_up of every door that is behind."""
        known = select(DoorRow).options(defer(DoorRow.roster)).order_by(DoorRow.name)
        with self._sending:
            if not self._publishes():
                return
            with self._store.read() as session:
                rows = [(row, model_of(session, row)) for row in session.scalars(known)]
            due = [row.name for row, wanted in rows if self._list_due(row) or self._model_due(row, wanted)]
        for door in due:
            self.bring_up(door)

    def _send(self, door: str, model: bool) -> DoorNews:
        with self._sending:
            # Asked for before the list is read: whoever has it reads nothing that another is about to overtake.
            mine = self._publishes()
            row, encoder_id = self._read(door)
            if self._link.connected and not mine:
                self._before[door] = self._link.presence(door).report
                left = f"List {row.generation} of {door} is left to the page's process that publishes."
                return DoorNews(door, row.generation, sent=True, sentence=left)
            already = self._lists.get(door) == _list_of(row) and not (model and self._model_wanted(row, encoder_id))
            sent = already or self._publish(row, encoder_id if model else "")
        if not sent:
            sentence = f"The broker cannot be reached; {door} will learn of it as soon as the link is back."
        elif not self._link.presence(door).online:
            sentence = f"{door} is offline; it will learn of it when it is back."
        else:
            sentence = f"Sent to {door} as list {row.generation}."
        return DoorNews(door, row.generation, sent, sentence)

    def _read(self, door: str) -> tuple[DoorRow, str]:
        with self._store.read() as session:
            row = find_door(session, door)
            return row, model_of(session, row)

    def _publish(self, row: DoorRow, encoder_id: str) -> bool:
        """The bundle of this encoder, where there is one, and then the list."""
        self._before[row.name] = self._link.presence(row.name).report
        return (not encoder_id or self._send_model(row, encoder_id)) and self._send_list(row)

    def _send_list(self, row: DoorRow) -> bool:
        sent = self._link.send(row.name, "roster", row.roster)
        if sent:
            self._lists[row.name] = _list_of(row)
        return sent

    def _send_model(self, row: DoorRow, encoder_id: str) -> bool:
        sent = self._link.send(row.name, "model", self._model_file(encoder_id))
        if sent:
            self._models[row.name] = (row.created, encoder_id)
        return sent

    def _list_due(self, row: DoorRow) -> bool:
        return _applied(row, "generation", 0) < row.generation and self._lists.get(row.name) != _list_of(row)

    def _model_due(self, row: DoorRow, encoder_id: str) -> bool:
        runs = _applied(row, "encoder_id", encoder_id)
        return runs != encoder_id and self._models.get(row.name) != (row.created, encoder_id)

    def _model_wanted(self, row: DoorRow, encoder_id: str) -> bool:
        silent = self._link.presence(row.name).report == self.report(row.name)
        return not silent or self._models.get(row.name) != (row.created, encoder_id)

    def _publishes(self) -> bool:
        """Whoever has just taken over, or has another connection, does not know what the broker has. A process without
        a broker leaves it to one that may have it."""
        connection = self._link.connections
        if not self._link.connected or not self._lease.hold():
            self._leave()
        elif self._term != connection:
            self._term = connection
            self._lists.clear()
            self._models.clear()
        return self._term is not None

    def _leave(self) -> None:
        self._term = None
        self._lease.release()

    def _watch(self) -> None:
        """Publish what other processes have changed, and all that is behind once this one has taken over."""
        while not self._ended.wait(WATCH_S):
            try:
                self.catch_up()
            except LatchkeyError as error:
                # The store may be away for a moment; what is behind then is found by the next look.
                log.warning("%s", error)
            except Exception:
                # Not to end with the lease in hand: no process would publish any more.
                log.exception("An error while publishing; another process of the page may try.")
                with self._sending:
                    self._leave()


def _list_of(row: DoorRow) -> tuple[datetime, int]:
    return row.created, row.generation


def _applied(row: DoorRow, what: str, unknown: T) -> T:
    """What the door has last said of itself."""
    said: T = (row.applied or {}).get(what, unknown)
    return said
