"""Between store and link: makes each door its lists, and takes what the doors report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from sqlalchemy.orm import Session

from admin_ui import journal, people
from admin_ui.doors import door_view
from admin_ui.ending import ending_at_door
from admin_ui.keyring import DoorKeys, Keyring
from admin_ui.lease import Lease, SoleHolder
from admin_ui.link import PageLink
from admin_ui.models import DoorRow
from admin_ui.pruned import may_prune
from admin_ui.publisher import Publisher
from admin_ui.rollout import roll
from admin_ui.store import Store, find_door
from admin_ui.views import DoorNews, DoorView
from firmware_config.calibration import Calibration
from firmware_config.errors import BadInput, BadState, LatchkeyError
from firmware_config.events import Event, EventAck, EventDetail, acknowledge, open_event
from firmware_config.messages import Applied, Health, Topics
from firmware_config.roster import Policy
from firmware_config.settings import BrokerSettings

log = logging.getLogger("latchkey.page.desk")

PASSING = ("", "encoder_mismatch")
"""What a door may say of a roster until the bundle that belongs to it has come; no reason to stop waiting."""


class FrontDesk:
    """Where the office meets the doors. Safe to use from any thread."""

    def __init__(
        self,
        site: str,
        broker: BrokerSettings,
        keyring: Keyring,
        store: Store,
        model_file: Callable[[str], bytes],
        calibration: Callable[[str], Calibration],
        lease: Lease | None = None,
    ) -> None:
        """model_file: encoder_id -> the site-signed file of its bundle. calibration: encoder_id -> that bundle's.
        lease: who publishes; none: nobody else can. Raises BadState."""
        self._site = site
        self._keyring = keyring
        self._store = store
        self._calibration = calibration
        self._short: set[str] = set()
        """Doors whose last word about their audit fell short of what was seen of it."""
        self._agreed: dict[str, str] = {}
        """Door -> up to where it may prune its audit, until it is told."""
        self.link = PageLink(site, broker, self)
        self.publisher = Publisher(self.link, store, model_file, lease or SoleHolder())

    def start(self) -> None:
        """Connect, and begin to publish for others where this is the process that does."""
        self.link.start()
        self.publisher.start()

    def stop(self) -> None:
        """Disconnect, and let another process publish."""
        self.link.stop()
        self.publisher.stop()

    def roll(
        self,
        session: Session,
        doors: Iterable[DoorRow],
        policy: Policy | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        """New rosters in the caller's transaction; send() afterwards. calibration: of an encoder that this very
        transaction puts in force."""
        for door in doors:
            measured = partial(self._measured, door.encoder_id, calibration)
            roll(session, door, self._site, self._keyring, calibration=measured, policy=policy)

    def _measured(self, encoder_id: str, calibration: Calibration | None) -> Calibration:
        return calibration if calibration is not None else self._calibration(encoder_id)

    def send(self, doors: Iterable[str], *, model: bool = False) -> tuple[DoorNews, ...]:
        """Publisher.send, after the caller's transaction."""
        return self.publisher.send(doors, model=model)

    def wait_applied(self, door: str, generation: int, timeout_s: float) -> bool:
        """True as soon as the door runs this generation or a later one; False on a refusal, or in the end."""

        def settled() -> bool:
            seen = self.link.presence(door)
            if seen.applied is None:
                return False
            refused = seen.applied.refused_topic == "roster" and seen.applied.refused not in PASSING
            news = seen.report > self.publisher.report(door)
            return seen.applied.generation >= generation or (refused and news)

        self.link.wait_until(settled, timeout_s)
        applied = self.link.presence(door).applied
        return applied is not None and applied.generation >= generation

    def wait_model(self, door: str, encoder_id: str, timeout_s: float) -> bool:
        """True as soon as the door says that it runs this encoder; False on a refusal of a bundle, or in the end."""

        def settled() -> bool:
            seen = self.link.presence(door)
            if seen.applied is None:
                return False
            news = seen.report > self.publisher.report(door)
            # An older one is refused until the list has come that allows the way back.
            refused = seen.applied.refused_topic == "model" and seen.applied.refused not in ("", "older_version")
            return seen.applied.encoder_id == encoder_id or (refused and news)

        self.link.wait_until(settled, timeout_s)
        applied = self.link.presence(door).applied
        return applied is not None and applied.encoder_id == encoder_id

    def view(self, session: Session, row: DoorRow) -> DoorView:
        """A door as it is shown."""
        count = people.count_people(session, row.name)
        return door_view(row, count, self.link.presence(row.name), self.link.why_down, self._ending(row.name))

    def _ending(self, door: str) -> list[str]:
        if not self._keyring.has_authority:
            return []
        try:
            return ending_at_door(self._keyring.authority(self._site), door)
        except BadState as error:
            # An authority that cannot be read must not hide the doors.
            return [str(error)]

    # --- what the link calls, on its worker thread ---

    def door_keys(self, door: str) -> DoorKeys:
        """Raises BadState, BadInput where there is no such door."""
        return self._keyring.door(door)

    def on_connected(self) -> None:
        """Send again what a door has not taken: its broker may have forgotten, or have been away."""
        self.publisher.catch_up()

    def on_applied(self, door: str, applied: Applied) -> None:
        """Keep what a door says it runs; bring a door that is behind up to date, once per connection."""
        with self._store.write() as session:
            find_door(session, door).applied = applied.model_dump(mode="json")
        self.publisher.bring_up(door)

    def on_health(self, door: str, health: Health) -> None:
        """What a door says of itself, live (a retained word may be older than what was seen since)."""
        short = door in self._short
        self._short.discard(door)
        if not journal.see_head(self._store, door, health.audit_seq, health.audit_head, again=short):
            self._short.add(door)

    def on_events(self, told: Sequence[tuple[str, Event]]) -> dict[str, list[str]]:
        """Store what the doors tell, in one transaction -> door -> ids that may be acknowledged.

        What a door did not write, or the store cannot take, is left out and said; the rest is kept. Raises
        StoreDown: nothing may be acknowledged.
        """
        opened: journal.Told = {}
        for door, event in told:
            try:
                detail = self._open_event(door, event)
            except LatchkeyError as refused:
                log.warning("%s", refused)
            else:
                opened.setdefault(door, []).append((event, detail))
        kept = journal.keep_what_can_be_kept(self._store, opened)
        for door, events in kept.items():
            for event, detail in events:
                if detail.prune and may_prune(self._store, door, event, detail):
                    self._agreed[door] = detail.prune
        return {door: [event.id for event, _ in events] for door, events in kept.items()}

    def acknowledge(self, door: str, ids: list[str]) -> EventAck:
        """These are stored; and with the event that asked for it, that the door may prune. Raises BadState."""
        key = self._keyring.door(door).door
        return acknowledge(key, Topics(self._site, door), ids, self._agreed.pop(door, ""))

    def _open_event(self, door: str, event: Event) -> EventDetail:
        if event.at.tzinfo is None:
            raise BadInput(f"Event {event.id} of {door} has a time without a zone.")
        return open_event(self._keyring.door(door).door, Topics(self._site, door), event)
