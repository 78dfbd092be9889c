"""The office's side: the real front desk, link, store and keys, without the page."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, text

from admin_ui.desk import FrontDesk
from admin_ui.keyring import Keyring
from admin_ui.models import EventRow
from admin_ui.store import new_door, open_store
from firmware_config.calibration import Calibration
from firmware_config.messages import Topics
from firmware_config.pairing import write_pairing
from firmware_config.roster import Person, Policy, Roster, seal_roster
from firmware_config.settings import BrokerSettings

TOPICS = Topics("faults", "front")


def _none_is_needed(_encoder_id: str) -> Calibration:
    raise AssertionError("no threshold of the bench follows a gallery")


class Office:
    """Knows one door, sends it its roster whenever it is behind, and stores what it reports."""

    def __init__(self, state: Path, broker: BrokerSettings) -> None:
        self.keyring = Keyring.make(state)
        self.keys = self.keyring.make_door(TOPICS.door)
        self._store = open_store("", state)
        self._model = b""
        self.desk = FrontDesk(
            TOPICS.site, broker, self.keyring, self._store, lambda _encoder_id: self._model, calibration=_none_is_needed
        )

    def pair(self, folder: Path, door: BrokerSettings, lock: BrokerSettings) -> None:
        """What door and lock are given: `door` and `lock` below `folder`."""
        write_pairing(folder / "door", TOPICS, door, self.keys.lock, self.keyring.site.public, self.keys.door)
        write_pairing(folder / "lock", TOPICS, lock, self.keys.lock)

    def enrol(self, people: list[Person], encoder_id: str, bundle: bytes, policy: Policy) -> None:
        """The door's roster, generation 1; `bundle` is the encoder that it is made with."""
        self._model = bundle
        roster = Roster(
            site=TOPICS.site,
            door=TOPICS.door,
            generation=1,
            encoder_id=encoder_id,
            policy=policy,
            people=people,
        )
        with self._store.write() as session:
            row = new_door(session, TOPICS.door, encoder_id)
            row.generation = 1
            row.roster = seal_roster(roster, self.keyring.site, self.keys.door)

    def start(self) -> None:
        self.desk.link.start()

    def stop_link(self) -> None:
        """Returns when all that had come in is stored."""
        self.desk.link.stop()

    def stop(self) -> None:
        self.stop_link()
        self._store.close()

    @property
    def connected(self) -> bool:
        return self.desk.link.connected

    def stored(self) -> list[str]:
        """Ids of the door's events in the store, in the order in which they came in."""
        with self._store.read() as session:
            query = select(EventRow.id).where(EventRow.door == TOPICS.door).order_by(text("events.rowid"))
            return list(session.scalars(query))
