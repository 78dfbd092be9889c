"""Targets that hear the broker: the door, the lock in Python and in C++, the office.

Their input is a message: a line `LEAF`, `LEAF retained`, `LEAF sealed` or `LEAF signed`, then the payload. `sealed`
has the payload sealed with the door's key before it is handed over, as only somebody with that key could; `signed`
besides by the site. A damaged first line still finds a leaf.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

from admin_ui.keyring import Keyring
from admin_ui.service import Office
from device.actuator import LockActuator
from device.discovery import COMMAND_LEAF, STATUS_TOPIC
from device.doorman import Doorman
from device.homeassistant import HomeAssistant
from device.inbox import Inbox
from device.journal import Journal
from device.link import DOOR_SUBSCRIPTIONS, Link
from device.opening import Opener
from device.relay import SimulatedRelay
from firmware_config.broker import Incoming
from firmware_config.events import EventDetail, acknowledge, seal_event
from firmware_config.keys import SecretKey
from firmware_config.lockrule import sign_command
from firmware_config.messages import Answer, Applied, Ask, Challenge, Health, LockResult, Message, Topics, encode
from firmware_config.pairing import DoorPairing, LockPairing
from firmware_config.roster import ROSTER_CONTEXT
from firmware_config.settings import AdminSettings, BrokerSettings, LockSettings
from tests.fuzz.target import Crash, Eat, Target
from tests.lock_firmware import Firmware, build
from tests.makers import Premises, encoder_id, toy_bundle

NOWHERE = BrokerSettings(url="mqtt://127.0.0.1:1")
ID = "ab" * 16
RETAINED, SEALED, SIGNED = b"retained", b"sealed", b"signed"


def message(leaf: str, payload: bytes | Message, how: bytes = b"") -> bytes:
    """As a target of this file reads it."""
    body = encode(payload) if isinstance(payload, Message) else payload
    return f"{leaf} ".encode() + how + b"\n" + body


def parsed(data: bytes, leaves: Sequence[str]) -> tuple[str, bytes, bytes]:
    """-> one of the leaves, how it comes, payload."""
    head, _, payload = data.partition(b"\n")
    words = head.split(b" ")
    leaf = words[0].decode("ascii", "replace")
    return leaf if leaf in leaves else leaves[sum(head) % len(leaves)], words[-1], payload


# --- the door ---

DOOR_LEAVES = [*(leaf for leaf, _ in DOOR_SUBSCRIPTIONS), STATUS_TOPIC]


def door_seeds() -> list[bytes]:
    """One of each that page, lock and Home Assistant say."""
    premises = _premises(Path("nowhere"))
    roster = premises.roster(2, {"Ada": 7})
    ask = Ask(id=ID, challenge=ID, action="unlock", by="Ada", why="courier")
    return [
        message("roster", roster, SIGNED),
        message("roster", premises.sealed(roster), RETAINED),
        message("model", toy_bundle("2.0.0", 2, premises.site_key), RETAINED),
        message("event/ack", acknowledge(premises.door_key, premises.topics, [str(uuid.UUID(int=7)), "x"])),
        message("ask", ask, SEALED),
        message("ask", premises.door_key.seal(premises.topics["ask"], encode(ask))),
        message("lock/challenge", Challenge(challenge=ID)),
        *(message("lock/state", state) for state in (b"LOCKED", b"UNLOCKED", b"JAMMED")),
        message("lock/result", LockResult(challenge=ID, accepted=False, reason="bad_mac")),
        *(message("lock/contact", leaf) for leaf in (b"OPEN", b"CLOSED")),
        message("lock/exit", b"PRESSED"),
        message(COMMAND_LEAF, b"UNLOCK"),
        message(COMMAND_LEAF, b'{"command": "LOCK", "at": 1767225600.25}'),
        message(STATUS_TOPIC, b"online"),
    ]


def _premises(folder: Path) -> Premises:
    keys = [SecretKey(bytes(range(start, start + 32))) for start in (1, 2)]
    return Premises(folder, door_key=keys[0], lock_key=keys[1])


@contextmanager
def door(folder: Path) -> Iterator[Eat]:
    """All of the door but camera and frames, on the disk, with a link that is never up."""
    premises = _premises(folder)
    pairing = DoorPairing(premises.topics, NOWHERE, premises.lock_key, premises.site_key.public, premises.door_key)
    link, holdings = Link(pairing), premises.holdings()
    holdings.offer_roster(premises.sealed(premises.roster(1, {"Ada": 7})))
    with ExitStack() as stack:
        journal = Journal(premises.state, link, premises.door_key)
        stack.callback(journal.close)
        doorman = Doorman(link, LockSettings())
        opener = Opener(link, None, journal, doorman)
        house = HomeAssistant(link, holdings, journal, opener)
        inbox = Inbox(link, holdings, journal, house, opener.open, lambda: None)

        def eat(data: bytes) -> None:
            leaf, how, payload = parsed(data, DOOR_LEAVES)
            topic = leaf if leaf == STATUS_TOPIC else premises.topics[leaf]
            if how == SIGNED:
                payload = premises.site_key.sign(ROSTER_CONTEXT + payload) + payload
            if how in (SEALED, SIGNED):
                payload = premises.door_key.seal(topic, payload)
            link._receive(Incoming(topic, payload, how == RETAINED))
            while not link.inbox.empty():
                # What `handle` would keep from the door's loop is what is looked for here.
                inbox._hear(link.inbox.get_nowait())
            doorman.beat(journal)
            link.beat()

        yield eat


# --- the lock ---

LOCK_TOPICS = Topics("office", "front")
LOCK_KEY = SecretKey(bytes(range(32)))


def lock_seeds() -> list[bytes]:
    """Commands of the door, which must not open here: they are for challenges that nobody gave."""
    signed = (sign_command(LOCK_KEY, LOCK_TOPICS.door_id, *more) for more in (
        ("unlock", ID, 3000), ("lock", ID, 1000, 0), ("unlock", ID, 60_000, 4000)))  # fmt: skip
    foreign = sign_command(LOCK_KEY, "office/back", "unlock", ID, 200).model_copy(update={"door": "office/b\u00e4ck"})
    extra = b'{"more": [1, {"a": null, "b": [true, -1.5e-7]}], ' + encode(foreign)[1:]
    return [*(encode(command) for command in signed), encode(foreign), extra]


@contextmanager
def lock(folder: Path) -> Iterator[Eat]:
    """Both locks read the same out of it; a sanitizer that finds something in the C++ ends its process."""
    relay = SimulatedRelay(say=lambda _line: None)
    actuator = LockActuator(LockPairing(LOCK_TOPICS, NOWHERE, LOCK_KEY), relay, lambda: 0.0)
    with Firmware(build(folder), bytes(range(32)).hex(), LOCK_TOPICS.door_id) as firmware:
        firmware.connect()

        def eat(data: bytes) -> None:
            result = actuator.obey(data, retained=False)
            said = [each.payload for each in firmware.obey(data) if each.leaf == "result"]
            expected = [] if result is None else [encode(result).decode()]
            if relay.times_on or said != expected:
                raise Crash(f"opened {relay.times_on} times; Python answers {expected}, C++ {said}")

        yield eat


# --- the office ---

OFFICE_LEAVES = ("availability", "health", "applied", "event", "challenge", "answer", "lock/state")


def office_seeds() -> list[bytes]:
    """One of each that a door and its lock say."""
    health = Health(
        software="0.2.0", encoder_id="ab" * 32, model_version="1.0.0", generation=3, people=2, fps=14.5, camera="ok",
        stage_ms={"detect": 2.5}, audit_seq=9, audit_head="cd" * 32, temperature_c=51.5, problems=["The disk is full."],
    )  # fmt: skip
    applied = Applied(generation=3, encoder_id="ab" * 32, model_version="1.0.0", people=2, refused="bad_seal")
    at = datetime(2026, 1, 1, 8, 30, tzinfo=timezone.utc)
    detail = EventDetail(person_id="p1", person="Ada", distance=0.7, quality={"sharp": 1.5}, audit_seq=9, by="boss")
    event = seal_event(
        LOCK_KEY, LOCK_TOPICS, event_id=str(uuid.UUID(int=7)), at=at, outcome="granted", reason="granted", detail=detail
    )
    return [
        message("availability", b"online"),
        message("health", health),
        message("applied", applied),
        message("event", event),
        # What `event` does with the outside of this one and a detail that it seals itself:
        message("event", detail, SEALED),
        message("challenge", Challenge(challenge=ID)),
        message("answer", Answer(id=ID, ok=False, reason="not_allowed", sentence="No."), SEALED),
        message("lock/state", b"LOCKED"),
    ]


@contextmanager
def office(folder: Path) -> Iterator[Eat]:
    """A site with one door and a real store; what is meant for the worker's thread is done at once."""
    settings = AdminSettings(site="office", state=folder / "state", broker=NOWHERE)
    bundle = folder / "toy.latchkey"
    bundle.write_bytes(toy_bundle("1.0.0", 1, Keyring.make(settings.state).site))
    eyes = SimpleNamespace(encoder_id=encoder_id(1))
    made = Office(settings, default_bundle=bundle, make_eyes=lambda *_models: eyes)  # type: ignore[arg-type, return-value]
    try:
        made.add_door("front", "test")
        key = Keyring(settings.state).door("front").door
        topics, link = Topics("office", "front"), made.link

        def eat(data: bytes) -> None:
            leaf, how, payload = parsed(data, OFFICE_LEAVES)
            if how == SEALED and leaf == "answer":
                payload = key.seal(topics[leaf], payload)
            if how == SEALED and leaf == "event":
                payload = _resealed(key, topics, payload)
            link._receive(Incoming(topics[leaf], payload, how == RETAINED))
            link._intake._queue.put(None)
            link._intake._run()
            made.doors()
            made.events("front")

        yield eat
    finally:
        made.stop()


def _resealed(key: SecretKey, topics: Topics, inside: bytes) -> bytes:
    """An event around a detail of any bytes, sealed as by the door."""
    at = datetime.now(timezone.utc)
    event = seal_event(
        key, topics, event_id=str(uuid.uuid4()), at=at, outcome="notice", reason="x", detail=EventDetail()
    )
    place = f"{topics['event']}|{event.id}|{at.isoformat()}|notice|x"
    return encode(event.model_copy(update={"detail": key.seal(place, inside)}))


TARGETS: Iterable[Target] = (
    Target("mqtt-door", door_seeds, door, 1500),
    Target("mqtt-lock", lock_seeds, lock, 800),
    Target("mqtt-office", office_seeds, office, 700),
)
