"""An office that is given work, for power_office.py to cut its power: `python -m tests.faults.power_office_writer`.

The real office with its store, keys and encoder; the broker is away. It works in the folder `disk` (state and the file
of what it told) of the site's folder.
"""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from admin_ui.service import Office
from firmware_config.events import EventDetail, seal_event
from firmware_config.messages import Topics
from firmware_config.settings import load_admin
from tests.faults.power_told import Teller, read_told, said

BY = "bench"
FRONT = "front"


class Clerk:
    """One act after the other; what each call returned is what somebody was told."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._draw = random.Random(seed)
        self._tell = Teller(folder / "disk").tell
        self._office = Office(load_admin(folder / "admin.toml"), default_bundle=folder / "default.latchkey")
        self._doors = [door.name for door in self._office.doors()]
        self._photos = sorted(folder.glob("photo-*.png"))
        self._bundles = sorted(folder.glob("bundle-*.latchkey"))
        self._number = len(said(read_told(folder / "disk"), "offered"))

    def work(self, acts: int) -> None:
        kinds: list[Callable[[], None]] = [self.enrol, self.erase, self.assign, self.ship, self.store_events]
        for _ in range(acts):
            self._draw.choices(kinds, (5, 4, 1, 1, 2))[0]()
        self._office.stop()

    def enrol(self) -> None:
        self._number += 1
        if not self._office.photo_rule():
            self._office.keep_photos(True, BY)
        name = f"Zoe Number{self._number:04}x"
        self._tell(offered=name)
        photo = self._draw.choice(self._photos).read_bytes()
        change = self._office.enrol(name, photo, [self._draw.choice(self._doors)], BY, confirm_duplicate=True)
        assert change.person is not None
        self._tell(enrolled=change.person.id, name=name)

    def erase(self) -> None:
        if people := self._office.people():
            person = self._draw.choice(people)
            self._tell(erasing=person.id)
            self._office.remove(person.id, BY)
            self._tell(erased=person.id, name=person.name)

    def assign(self) -> None:
        if people := self._office.people():
            self._office.set_doors(self._draw.choice(people).id, [self._draw.choice(self._doors)], BY)

    def ship(self) -> None:
        shipped = self._office._sight.current().shelved.bundle.manifest
        later = [path for path in self._bundles if path.stem > f"bundle-{shipped.version[-1]}"]
        if later:
            self._office.ship_model(later[0].read_bytes(), BY)
            self._tell(model=self._office._sight.current().eyes.encoder_id)

    def store_events(self) -> None:
        """What a door would send; what is acknowledged, the door forgets."""
        people = self._office.people()
        who = self._draw.choice(people) if people else None
        detail = EventDetail(person_id=who.id if who else "", person=who.name if who else "")
        keys = self._office._keyring.door(FRONT)
        events = [
            seal_event(
                keys.door,
                Topics(self._office.site, FRONT),
                event_id=str(uuid.uuid4()),
                at=datetime.now(timezone.utc),
                outcome="granted",
                reason="granted",
                detail=detail,
            )
            for _ in range(3)
        ]
        stored = self._office._desk.on_events([(FRONT, event) for event in events])
        self._tell(stored=stored.get(FRONT, []))


def main() -> int:
    """FOLDER SEED ACTS -> 0."""
    Clerk(Path(sys.argv[1]), int(sys.argv[2])).work(int(sys.argv[3]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
