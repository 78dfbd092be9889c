"""Row: a door without its broker for a simulated week, then with it again: everything arrives once and in order.

The door's real journal (audit and outbox on disk, each record synced) and link; only the hours are simulated. Half
way through, the door is started anew, as after a power cut. Then a real Mosquitto comes up and the real office
stores what the door sends.
"""

from __future__ import annotations

import queue
import random
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import device.journal
from device.journal import Journal
from device.link import Link
from firmware_config.events import EventDetail
from firmware_config.face import Reason
from firmware_config.pairing import load_door
from firmware_config.roster import Policy
from firmware_config.settings import BrokerSettings
from tests.brokers import Mosquitto
from tests.faults.bench import Figure, Findings, Part, Row
from tests.faults.ledgers import event_ids, records
from tests.faults.office import Office
from tests.pixels import bundle_of, pixel_encoder

WEEK = timedelta(days=7)
BEGIN = datetime(2026, 1, 5, tzinfo=timezone.utc)
BEAT_S = 0.02
STANDSTILL_S = 60.0
"""So long without one more event in the store, and the rest counts as lost."""

REASONS = (
    ("granted", Reason.GRANTED),
    ("denied", Reason.UNKNOWN_FACE),
    ("denied", Reason.LOCK_OFFLINE),
    ("notice", Reason.CAMERA_LOST),
)


class SimulatedWall:
    """The wall clock of the week."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now


def run(part: Part, findings: Findings) -> None:
    """part.count events in a week without a broker."""
    draw = part.random
    broker = Mosquitto(part.folder / "broker")
    office = Office(part.folder / "office", broker.settings)
    office.pair(part.folder, broker.settings, broker.settings)
    model = pixel_encoder()
    bundle = bundle_of(model, office.keyring.site)
    office.enrol([], "0" * 64, bundle, Policy(tau=0.65, tau_strict=0.4))
    wall = SimulatedWall()
    device.journal.now_utc = wall
    halves = (part.count // 2, part.count - part.count // 2)
    begun = time.monotonic()
    for half in halves:
        _tell(part.folder, broker.settings, half, part.count, wall, draw)
    findings.note("seconds to write", round(time.monotonic() - begun))
    begun = time.monotonic()
    link, journal = _door(part.folder)
    findings.measure("ready", time.monotonic() - begun)
    try:
        begun = time.monotonic()
        with broker:
            office.start()
            link.start()
            _deliver(link, journal, office, part.count)
            findings.note("seconds to deliver", round(time.monotonic() - begun))
            findings.count("left", journal.unsent)
            link.stop()
            office.stop_link()
        told = event_ids(records(part.folder / "state", office.keys.door))
        stored = office.stored()
    finally:
        journal.close()
        office.stop()
    findings.done += len(told)
    findings.count("written", len(told))
    findings.count("lost", len(set(told) - set(stored)))
    findings.count("doubled", len(stored) - len(set(stored)) + len(told) - len(set(told)))
    findings.count("disorder", sum(a != b for a, b in zip(told, stored, strict=False)))


def _tell(folder: Path, _broker: BrokerSettings, count: int, of: int, wall: SimulatedWall, draw: random.Random) -> None:
    link, journal = _door(folder)
    try:
        for _ in range(count):
            outcome, reason = draw.choice(REASONS)
            detail = EventDetail(person_id=f"p{draw.randrange(50)}", distance=draw.uniform(0.3, 1.4))
            journal.tell(outcome, str(reason), detail)
            wall.now += WEEK / of
            journal.beat()
    finally:
        journal.close()
    assert not link.connected


def _door(folder: Path) -> tuple[Link, Journal]:
    pairing = load_door(folder / "door")
    link = Link(pairing)
    return link, Journal(folder / "state", link, pairing.door_key)


def _deliver(link: Link, journal: Journal, office: Office, count: int) -> None:
    """The loop's chores, until the store has all or gets no more."""
    got, grew_at = 0, time.monotonic()
    while journal.unsent and time.monotonic() - grew_at < STANDSTILL_S:
        journal.beat()
        try:
            message = link.inbox.get(timeout=BEAT_S)
            while True:
                if message.topic.endswith("event/ack"):
                    journal.acknowledged(message.payload)
                message = link.inbox.get_nowait()
        except queue.Empty:
            pass
        now = count - journal.unsent
        if now > got:
            got, grew_at = now, time.monotonic()


ROW = Row(
    name="offline",
    title="Offline for a simulated 7 days, started anew half way",
    unit="events",
    figures=(
        Figure("lost", "lost", at_most=0),
        Figure("doubled", "doubled", at_most=0),
        Figure("disorder", "out of order", at_most=0),
        Figure("left", "left in the outbox", at_most=0),
        Figure("ready", "ready after a start", at_most=15, worst=True, unit=" s"),
        Figure("written", "events written", at_least=1),
    ),
    short=1000,
    long=100_000,
    part_size=100_000,
    part_limit_s=7200,
    run=run,
)
